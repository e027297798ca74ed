package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Account is somebody who uses the application.
type Account struct {
	// Name is the full name, "Ada Lovelace".
	Name     string
	Username string
	Email    string
	Password string
}

// SignUp opens the application at base and creates its first administrator, who is signed in afterwards. It fails where
// there is one already.
func SignUp(ctx context.Context, p *Page, base string, who Account) error {
	return p.steps(ctx, "sign up",
		opening(base),
		seeing(Heading("Set up this instance")),
		shot("set up"),
		filling(Field("Name"), who.Name),
		filling(Field("Username"), who.Username),
		filling(Field("Email"), who.Email),
		filling(Field("Password"), who.Password),
		shot("set up, filled in"),
		clicking(Button("Create administrator")),
		seeing(welcome(who)),
		shot("first page"),
	)
}

// SignIn opens the application at base and signs in.
func SignIn(ctx context.Context, p *Page, base string, who Account) error {
	return p.steps(ctx, "sign in",
		opening(base+"/login"),
		seeing(Heading("Sign in")),
		filling(Field("Username or email"), who.Username),
		filling(Field("Password"), who.Password),
		shot("sign in"),
		clicking(Button("Sign in")),
		seeing(welcome(who)),
	)
}

// SignOn signs in at the identity provider of the installation, in the pages that the tests' provider has.
func SignOn(ctx context.Context, p *Page, base, login string, who Account) error {
	return p.steps(ctx, "sign in at the identity provider",
		opening(base+"/login"),
		clicking(Link("Sign in with single sign-on")),
		filling(Field("Enter any login"), login),
		filling(Field("and password"), "any"),
		shot("at the identity provider"),
		clicking(Button("Sign-in")),
		clicking(Button("Continue")),
		seeing(welcome(who)),
		shot("back from the identity provider"),
	)
}

// SignOut leaves the application. Name is the full name of who is signed in.
func SignOut(ctx context.Context, p *Page, name string) error {
	return p.steps(ctx, "sign out", clicking(Button("Account of "+name)), clicking(MenuItem("Sign out")), seeing(Heading("Sign in")))
}

// Enter signs in, or up where the installation has no administrator yet. It tells which.
func Enter(ctx context.Context, p *Page, base string, who Account) (created bool, err error) {
	setUp := Heading("Set up this instance")
	if err := p.Go(ctx, base); err != nil {
		return false, err
	}
	shown, err := p.SeeAny(ctx, setUp, Heading("Sign in"), welcome(who))
	switch {
	case err != nil:
		return false, fmt.Errorf("open the application: %w", err)
	case shown == setUp:
		return true, SignUp(ctx, p, base, who)
	case shown == welcome(who):
		return false, nil
	}
	return false, SignIn(ctx, p, base, who)
}

// CreateKey makes an API key at /authorize, where `wandb login` sends people, and returns it.
func CreateKey(ctx context.Context, p *Page, base, description string) (string, error) {
	var key string
	err := p.steps(ctx, "create an API key",
		opening(base+"/authorize"),
		seeing(Heading("API keys")),
		filling(Field("Description"), description),
		clicking(Button("Create key")),
		seeing(Heading("Your new key")),
		reading(Element{"group", "key"}, &key),
		shot("new key"),
		clicking(Button("I have stored it")),
		text(description),
		shot("keys"),
	)
	key = strings.TrimSpace(key)
	if err == nil && len(key) < 40 {
		err = fmt.Errorf("create an API key: the page shows %d characters, which is no key", len(key))
	}
	return key, err
}

// OpenConsole goes from the application's user menu to the System Console, which knows its administrators.
func OpenConsole(ctx context.Context, p *Page, who Account) error {
	return p.steps(ctx, "open the console from the menu",
		clicking(Button("Account of "+who.Name)),
		seeing(MenuItem("System console")),
		shot("menu"),
		clicking(MenuItem("System console")),
		seeing(Heading("Overview")),
		seeing(Button("Account of "+who.Username)),
	)
}

// LeaveConsole signs out of the System Console. Name is who is signed in: a username of the application, or ConsoleUser.
func LeaveConsole(ctx context.Context, p *Page, name string) error {
	return p.steps(ctx, "sign out of the console",
		clicking(Button("Account of "+name)),
		clicking(MenuItem("Sign out")),
		seeing(Heading("Sign in")),
		shot("signed out of the console"),
	)
}

// ConsoleUser is the name of whoever signs in to the console with its password.
const ConsoleUser = "administrator"

// EnterConsole opens the System Console at its URL and signs in with the password of Secret `<cr>-password`.
func EnterConsole(ctx context.Context, p *Page, console, password string) error {
	return p.steps(ctx, "sign in to the console",
		opening(slashed(console)),
		seeing(Heading("Sign in")),
		shot("console sign in"),
		filling(Field("Password"), password),
		clicking(Button("Sign in")),
		seeing(Heading("Overview")),
		seeing(Button("Account of "+ConsoleUser)),
	)
}

// MistypePassword gives the console a wrong password and expects to be told so.
func MistypePassword(ctx context.Context, p *Page, console string) error {
	p.Allow("status of 401")
	return p.steps(ctx, "mistype the console's password",
		opening(slashed(console)),
		seeing(Heading("Sign in")),
		filling(Field("Password"), "not the password"),
		clicking(Button("Sign in")),
		text("That is not the password of this console."),
		shot("console refuses"),
	)
}

// SeeOverview expects the console's overview, live and with these texts: names of pods, conditions, releases.
func SeeOverview(ctx context.Context, p *Page, console string, texts ...string) error {
	list := []step{
		opening(slashed(console)),
		seeing(Heading("Overview")),
		seeing(Heading("Conditions")),
		seeing(Heading("Pods")),
		text("Live"),
	}
	for _, expected := range texts {
		list = append(list, text(expected))
	}
	return p.steps(ctx, "look at the overview", append(list, shot("overview"))...)
}

// EditUserLayer replaces the text of the user layer and saves it.
func EditUserLayer(ctx context.Context, p *Page, console, yaml string) error {
	return p.steps(ctx, "edit the user layer",
		opening(slashed(console)+"settings"),
		seeing(Heading("Settings")),
		filling(Field("User layer"), yaml),
		text("Unsaved changes"),
		shot("user layer, edited"),
		clicking(Button("Save")),
		text("The operator applies it now."),
		shot("user layer, saved"),
	)
}

// SeeUserLayer opens the user layer anew and expects a text in it.
func SeeUserLayer(ctx context.Context, p *Page, console, part string) error {
	return p.steps(ctx, "read the user layer", opening(slashed(console)+"settings"), seeing(Field("User layer")), text(part))
}

// MistakeInUserLayer tries to save text and expects to be told what is wrong, and that it is in this line.
func MistakeInUserLayer(ctx context.Context, p *Page, console, yaml string, line int, problem string) error {
	p.Allow("status of 422")
	return p.steps(ctx, "save a mistake",
		opening(slashed(console)+"settings"),
		filling(Field("User layer"), yaml),
		clicking(Button("Save")),
		text(problem),
		text(fmt.Sprintf("line %d", line)),
		shot("user layer, refused"),
		clicking(Button("Discard changes")),
	)
}

// SeeActive opens the specification that was applied last, and expects a text in it.
func SeeActive(ctx context.Context, p *Page, console, part string) error {
	return p.steps(ctx, "read the active specification",
		opening(slashed(console)+"settings/active"),
		seeing(Field("Active specification")),
		text(part),
		shot("active specification"),
	)
}

func welcome(who Account) Element {
	first, _, _ := strings.Cut(who.Name, " ")
	return Heading("Welcome, " + first)
}

func slashed(base string) string { return strings.TrimSuffix(base, "/") + "/" }

// step is one thing that a person does or looks for.
type step func(ctx context.Context, p *Page) error

// steps does one after another and says which one failed, and where.
func (p *Page) steps(ctx context.Context, purpose string, list ...step) error {
	for _, do := range list {
		if err := do(ctx, p); err != nil {
			at, urlErr := p.URL(ctx)
			if urlErr != nil {
				return fmt.Errorf("%s: %w", purpose, errors.Join(err, urlErr))
			}
			return fmt.Errorf("%s, at %s: %w", purpose, withoutQuery(at), err)
		}
	}
	return nil
}

func withoutQuery(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return address
	}
	parsed.RawQuery = ""
	return parsed.String()
}

func opening(url string) step {
	return func(ctx context.Context, p *Page) error { return p.Go(ctx, url) }
}

func seeing(e Element) step {
	return func(ctx context.Context, p *Page) error { return p.See(ctx, e) }
}

func clicking(e Element) step {
	return func(ctx context.Context, p *Page) error { return p.Click(ctx, e) }
}

func filling(e Element, text string) step {
	return func(ctx context.Context, p *Page) error { return p.Fill(ctx, e, text) }
}

func reading(e Element, into *string) step {
	return func(ctx context.Context, p *Page) (err error) {
		*into, err = p.TextOf(ctx, e)
		return err
	}
}

func text(expected string) step {
	return func(ctx context.Context, p *Page) error { return p.SeeText(ctx, expected) }
}

func shot(name string) step {
	return func(ctx context.Context, p *Page) error { return p.Shot(ctx, name) }
}
