package preflight

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
)

func (r *run) host(ctx context.Context) Check {
	given := text(r.Values, "global", "host")
	if given == "" {
		return idle(Host, "the values know no global.host")
	}
	address, problem := parseHost(given)
	if address == nil {
		return failed(Host, "global.host %s. Give scheme and host alone, such as https://wandb.example.com.", problem)
	}
	name := address.Hostname()
	local := name == "localhost" || strings.HasSuffix(name, ".localhost")
	if local {
		return warning(Host, "global.host is %s: only programs on the same machine reach it. Set it to the URL that browsers and clients use.", given)
	}
	if net.ParseIP(name) == nil {
		if _, err := r.Resolver.LookupHost(ctx, name); err != nil {
			return warning(Host, "%s. Make a DNS record for it that points at the Ingress.", lookupProblem(name, err))
		}
	}
	if address.Scheme == "http" {
		return warning(Host, "global.host is %s: passwords and API keys travel unencrypted. Use https, and set ingress.tls or end TLS in front.", given)
	}
	return passed(Host, "%s resolves", given)
}

// parseHost reads global.host as the server does; where it is none, problem completes "global.host …".
func parseHost(given string) (address *url.URL, problem string) {
	address, err := url.Parse(strings.TrimRight(given, "/"))
	switch {
	case err != nil:
		return nil, "is no URL" // the error repeats the text, which may hold a password
	case address.Scheme != "http" && address.Scheme != "https":
		return nil, "must begin with https:// or http://"
	case address.Hostname() == "" || address.Path != "" || address.RawQuery != "" || address.Fragment != "" || address.User != nil:
		return nil, "must be a scheme and a host only"
	default:
		return address, ""
	}
}

// lookupProblem words a failed look-up without the address of the name server.
func lookupProblem(name string, err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return name + " does not resolve"
	}
	return name + " could not be looked up"
}
