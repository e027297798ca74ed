package account

import (
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	maxUsername    = 128
	maxEmail       = 254 // RFC 5321
	maxName        = 128 // characters
	maxDescription = 200 // characters

	// MinPassword is the shortest password, in characters. Length is what makes a password strong, so no mix of kinds of
	// characters is asked for.
	MinPassword = 10
	// maxPassword bounds the work of hashing.
	maxPassword = 1024

	// minKey is the shortest key that the official client accepts; maxKey fits a header.
	minKey = 40
	maxKey = 1024
)

var (
	usernamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	keyPattern      = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	tokenPattern    = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)
)

// reservedNames are the first segments of paths that are no entity, now or in the hosted product's addresses.
var reservedNames = []string{
	"admin", "api", "artifacts", "artifactsv2", "assets", "authorize", "console", "files", "graphql", "healthz", "home",
	"login", "logout", "metrics", "oidc", "orgs", "profile", "quickstart", "ready", "registry", "reports", "scim", "sdk", "search",
	"settings", "signup", "site", "static", "storage", "sweeps", "system", "teams", "users", "wandb",
}

// fold gives the form under which names and addresses are compared.
func fold(s string) string { return strings.ToLower(s) }

// CheckUsername tells what is wrong with a username. It is also the name of the user's entity, and stands in addresses.
func CheckUsername(username string) error { return checkEntityName("username", username) }

func checkEntityName(field, name string) error {
	switch {
	case name == "" && field == "username":
		return invalid(field, "choose a username")
	case name == "":
		return invalid(field, "choose a name")
	case len(name) > maxUsername:
		return invalid(field, "use at most %d characters", maxUsername)
	case !usernamePattern.MatchString(name):
		return invalid(field, "use letters, digits, dashes and underscores, and begin with a letter or digit")
	case slices.Contains(reservedNames, fold(name)):
		return invalid(field, "this name is reserved")
	}
	return nil
}

// usernameFrom makes a username of whatever somebody is called elsewhere; "user" where nothing of it can be used.
func usernameFrom(text string) string {
	local, _, _ := strings.Cut(text, "@")
	var b strings.Builder
	for _, r := range fold(local) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := strings.TrimRight(b.String()[:min(b.Len(), maxUsername-8)], "-_")
	if name == "" || slices.Contains(reservedNames, name) {
		return "user" + name
	}
	return name
}

// CheckEmail tells what is wrong with an email address. It must be the bare address, without a name or brackets.
func CheckEmail(email string) error {
	if email == "" {
		return invalid("email", "enter an email address")
	}
	parsed, err := mail.ParseAddress(email)
	local, _, _ := strings.Cut(email, "@")
	switch {
	case err != nil, parsed.Address != email, parsed.Name != "", !utf8.ValidString(email):
		return invalid("email", "this is no email address")
	case len(email) > maxEmail, len(local) > 64:
		return invalid("email", "this address is too long")
	case strings.ContainsFunc(email, notPrintable):
		return invalid("email", "this is no email address")
	case len(fold(email)) > maxEmail:
		return invalid("email", "this address is too long")
	}
	return nil
}

// CheckName tells what is wrong with the name that is shown to people.
func CheckName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return invalid("name", "enter a name")
	case utf8.RuneCountInString(name) > maxName:
		return invalid("name", "use at most %d characters", maxName)
	case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl):
		return invalid("name", "use printable characters")
	}
	return nil
}

// CheckDescription tells what is wrong with the note that tells keys apart.
func CheckDescription(description string) error {
	switch {
	case utf8.RuneCountInString(description) > maxDescription:
		return invalid("description", "use at most %d characters", maxDescription)
	case !utf8.ValidString(description), strings.ContainsFunc(description, unicode.IsControl):
		return invalid("description", "use printable characters")
	}
	return nil
}

// CheckPassword tells what is wrong with a new password of a user.
func CheckPassword(password redact.Secret, username, email string) error {
	p := password.Reveal()
	folded := fold(p)
	local, _, _ := strings.Cut(fold(email), "@")
	switch {
	case !utf8.ValidString(p):
		return invalid("password", "use text")
	case utf8.RuneCountInString(p) < MinPassword:
		return invalid("password", "use at least %d characters", MinPassword)
	case len(p) > maxPassword:
		return invalid("password", "use at most %d bytes", maxPassword)
	case folded == fold(username), folded == fold(email), folded == local:
		return invalid("password", "do not use your name or address")
	case isCommon(folded):
		return invalid("password", "this password is too easy to guess")
	}
	return nil
}

// CheckKey tells what is wrong with an API key that an administrator chose. The official client accepts the same: what
// follows the first dash, or the whole, is at least 40 letters, digits, underscores and dashes; or three such parts joined
// by dots.
func CheckKey(key redact.Secret) error {
	k := key.Reveal()
	_, secret, dashed := strings.Cut(k, "-")
	if !dashed {
		secret = k
	}
	switch {
	case len(k) > maxKey:
		return invalid("key", "use at most %d characters", maxKey)
	case len(k) >= minKey && tokenPattern.MatchString(k):
		return nil
	case len(secret) < minKey:
		return invalid("key", "use at least %d characters, counted after the first dash: the client refuses fewer", minKey)
	case !keyPattern.MatchString(secret), strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }):
		return invalid("key", "use letters, digits, underscores and dashes: the client refuses others")
	}
	return nil
}

func notPrintable(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

// isCommon tells whether a folded password of sufficient length is among those that are tried first: a known one, one
// character over and over, or a run along the keyboard or the alphabet.
func isCommon(folded string) bool {
	if slices.Contains(commonPasswords, folded) {
		return true
	}
	if strings.Trim(folded, folded[:1]) == "" {
		return true
	}
	for _, row := range keyboardRuns {
		if strings.Contains(row, folded) {
			return true
		}
	}
	return false
}

var keyboardRuns = []string{
	"01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba",
	"qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb6yhn",
	"qazwsxedcrfvtgbyhnujm", "abc123abc123abc123",
}

// commonPasswords are those of at least MinPassword characters that lists of leaked passwords lead with, and the obvious
// ones of this product.
var commonPasswords = []string{
	"password12", "password123", "password1234", "password12345", "password123456", "passwordpassword", "mypassword1",
	"password01", "password11", "passw0rd12", "passw0rd123", "p@ssw0rd12", "p@ssw0rd123", "p@ssword123", "p@ssword1234",
	"pa$$word123", "pa$$w0rd123", "letmein123", "letmein1234", "welcome123", "welcome1234", "welcome12345", "changeme12",
	"changeme123", "changeme1234", "changeit123", "administrator", "administrator1", "admin12345", "admin123456",
	"admin123456789", "adminadmin", "adminadmin1", "adminadmin123", "admin@12345", "rootroot12", "rootpassword",
	"qwerty12345", "qwerty123456", "qwertyuiop1", "qwertyuiop12", "qwertyuiop123", "qwerty1234", "1q2w3e4r5t6y",
	"1qaz2wsx3edc", "1qaz@wsx3edc", "iloveyou12", "iloveyou123", "iloveyou1234", "sunshine12", "sunshine123",
	"princess12", "princess123", "football12", "football123", "baseball12", "baseball123", "superman12", "superman123",
	"trustno1234", "monkey12345", "dragon12345", "master12345", "shadow12345", "michael123", "charlie123", "jennifer12",
	"1234512345", "1234554321", "1212121212", "1122334455", "0987654321", "1029384756", "123123123123", "123456789a",
	"a123456789", "abcd123456", "abcdef1234", "abcdefg123", "abc1234567", "asdfghjkl1", "asdfghjkl123", "asdf123456",
	"zxcvbnm123", "zxcvbnm1234", "computer12", "computer123", "internet12", "internet123", "whatever12", "whatever123",
	"secretpassword", "supersecret", "topsecret1", "topsecret123", "testtest12", "testtest123", "test123456",
	"test1234567", "testpassword", "temppassword", "temporary1", "temporary123", "defaultpassword", "default123",
	"passwort123", "passwort1234", "motdepasse", "motdepasse1", "contraseña", "hunter2hunter2", "correcthorsebatterystaple",
	"correct horse battery staple", "thisisapassword", "ihatepasswords", "nopassword1", "openpassword",
	"wandbwandb", "wandbwandb1", "wandb12345", "wandb123456", "wandbadmin", "wandbadmin1", "weightsandbiases",
	"weights&biases", "weightsbiases", "kubernetes", "kubernetes1", "kubernetes123", "kubewandb1", "kubewandb123",
}
