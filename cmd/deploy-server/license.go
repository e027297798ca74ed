package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
)

func (c *cli) newLicense() *cobra.Command {
	return c.client(commandline.Group("license", "Issue and revoke licences", c.licenseIssue(), c.licenseList(), c.licenseRevoke(), c.licenseKeys()))
}

func (c *cli) licenseIssue() *cobra.Command {
	var (
		wanted       admin.NewLicense
		life         time.Duration
		entitlements []string
	)
	command := &cobra.Command{
		Use: "issue", Short: "Sign a licence and print it; the server does not keep it", Args: cobra.NoArgs,
		Example: "  deploy-server license issue --customer acme --channel stable --expires 8760h --entitlement seats=50",
		RunE: func(command *cobra.Command, _ []string) (err error) {
			client, err := c.connect()
			if err != nil {
				return err
			}
			if wanted.Entitlements, err = parseEntitlements(entitlements); err != nil {
				return err
			}
			wanted.ExpiresAt = time.Now().Add(life)
			issued, err := client.IssueLicense(command.Context(), wanted)
			if err != nil {
				return err
			}
			if c.output == "json" {
				return c.show(command.OutOrStdout(), issued, nil)
			}
			return c.say(command.OutOrStdout(), "%s", issued.Token.Reveal())
		},
	}
	flags := command.Flags()
	flags.StringVar(&wanted.Customer, "customer", "", "whom the licence is for (required)")
	flags.StringVar(&wanted.Channel, "channel", "", "channel that it opens (default stable)")
	flags.DurationVar(&life, "expires", 365*24*time.Hour, "how long it is valid, for example 8760h")
	flags.StringArrayVar(&entitlements, "entitlement", nil, "NAME=VALUE that it grants; may be repeated; true, false and numbers are read as such")
	c.formats(flags, "token", "json")
	_ = command.MarkFlagRequired("customer")
	return command
}

// parseEntitlements reads NAME=VALUE; a value that is JSON for true, false or a number is taken as such.
func parseEntitlements(texts []string) (map[string]any, error) {
	entitlements := make(map[string]any, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("read entitlement %q: it must be NAME=VALUE", text)
		}
		entitlements[name] = value
		if number := json.Number(value); value == "true" || value == "false" {
			entitlements[name] = value == "true"
		} else if _, err := number.Float64(); err == nil && json.Valid([]byte(value)) {
			entitlements[name] = number
		}
	}
	return entitlements, nil
}

func (c *cli) licenseList() *cobra.Command {
	command := &cobra.Command{
		Use: "list", Short: "List licences, and what each was last given", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			licenses, err := client.Licenses(command.Context())
			if err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), licenses, licenseRows(time.Now(), licenses...))
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) licenseRevoke() *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "revoke ID", Short: "End a licence before its time; what is installed keeps running", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			license, err := client.RevokeLicense(command.Context(), arguments[0], admin.Revocation{Reason: reason, By: c.actor()})
			if err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), license, licenseRows(time.Now(), license))
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why, for the record")
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) licenseKeys() *cobra.Command {
	return &cobra.Command{
		Use: "keys", Short: "Print the public keys of licences (JWKS), for LICENSE_JWKS_FILE of operators", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			jwks, err := client.LicenseKeys(command.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), string(jwks))
			return err
		},
	}
}

func licenseRows(now time.Time, licenses ...admin.License) [][]string {
	rows := [][]string{{"ID", "CUSTOMER", "CHANNEL", "STATE", "EXPIRES", "SEEN", "HAS RELEASE"}}
	for _, each := range licenses {
		row := []string{each.ID, each.Customer, each.Channel, each.State(now), date(each.ExpiresAt), "", ""}
		if seen := each.LastSeen; seen != nil {
			row[5] = ago(seen.At, now) + " ago"
			if seen.Waiting {
				row[5] = "now"
			}
			row[6] = cmp.Or(seen.ReleaseName, "none")
		}
		rows = append(rows, row)
	}
	return rows
}
