package notify

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// ReasonConfigInvalid is the reason of every fault about the configuration.
const ReasonConfigInvalid = "ConfigInvalid"

// maxFile bounds the files with URL and key, in bytes.
const maxFile = 64 << 10

// URLFile returns a source for Options.URL: a file with one http or https URL. The source gives a *fault.Error that never
// repeats what the file holds.
func URLFile(name string) func() (redact.Secret, error) {
	return func() (redact.Secret, error) {
		text, err := readSecret(name, "NOTIFY_URL_FILE")
		if err != nil {
			return "", err
		}
		target, err := url.Parse(text.Reveal())
		if err != nil || (target.Scheme != "https" && target.Scheme != "http") || target.Host == "" {
			return "", &fault.Error{
				Reason: ReasonConfigInvalid, Op: "read the webhook's URL from " + name, Err: errors.New("it is no http or https URL"),
				Hint: "Put the whole URL of the webhook into the key of the Secret that chart value notifications names.",
			}
		}
		return text, nil
	}
}

// KeyFile returns a source for Options.Key: a file with the signing key; white space around it does not count.
func KeyFile(name string) func() (redact.Secret, error) {
	return func() (redact.Secret, error) { return readSecret(name, "NOTIFY_KEY_FILE") }
}

func readSecret(name, variable string) (redact.Secret, error) {
	text, err := readFile(name)
	if err == nil && text == "" {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return "", &fault.Error{
			Reason: ReasonConfigInvalid, Op: fmt.Sprintf("read %s of notifications", name), Err: err, Retry: true,
			Hint: fmt.Sprintf("Mend the Secret that chart value notifications names, or unset %s.", variable),
		}
	}
	return redact.Secret(text), nil
}

func readFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err // names the file
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	return strings.TrimSpace(string(data)), err
}
