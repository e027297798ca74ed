// Package browser drives a real Chromium over the pages of application and console, the way a person does: it finds
// buttons and fields by the names that a screen reader reads out, and clicks and types where they are on the screen.
//
// A page with an error in its console fails the test, and each step leaves a screenshot in test/artifacts. The scenarios are
// exported, so that the self-test of this package and the end-to-end suite walk the same way.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

const (
	executable = "/usr/bin/chromium"
	// install is what to do on a machine without the programs.
	install = "install them: apt-get install -y chromium libnss3-tools"

	// patience is how long a page may take to show what it should.
	patience = 20 * time.Second
	// pause between two looks at a page.
	pause = 50 * time.Millisecond
	// oneLook bounds a look: the browser does not answer what it was asked about a page that it has left.
	oneLook = 4 * time.Second
)

// Options of Open.
type Options struct {
	// CA is a PEM file of a certificate authority that the browser trusts beside the public ones; optional.
	CA string
	// Width and Height of the window; 0 means 1280 by 900.
	Width, Height int
	// Dark asks pages for their dark colours.
	Dark bool
}

// Page is one tab of a browser of its own, with no history and no cookies.
type Page struct {
	tab     context.Context
	folder  string
	shots   int
	mu      sync.Mutex
	faults  []string
	allowed []string
}

// Open starts a browser that ends with the test. It fails the test then, if a page has written an error to its console that
// nobody allowed.
func Open(t testing.TB, o Options) *Page {
	t.Helper()
	if _, err := os.Stat(executable); err != nil {
		t.Fatalf("no browser: %v; %s", err, install)
	}
	home := t.TempDir()
	if o.CA != "" {
		if err := trust(t.Context(), home, o.CA); err != nil {
			t.Fatalf("make the browser trust %s: %v", o.CA, err)
		}
	}
	if o.Width == 0 || o.Height == 0 {
		o.Width, o.Height = 1280, 900
	}
	p := &Page{folder: artifacts(t)}
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), flags(home, o)...)
	tab, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	p.tab = tab
	t.Cleanup(func() {
		if t.Failed() {
			p.last(t)
		}
		closeTab()
		stop()
		for _, fault := range p.unexpected() {
			t.Errorf("the browser's console: %s", fault)
		}
	})
	if err := chromedp.Listen(tab, p.listen); err != nil { // which starts the browser
		t.Fatalf("start %s: %v", executable, err)
	}
	// A window cannot be as narrow as a phone.
	if err := chromedp.Do(tab, chromedp.EmulateViewport(int64(o.Width), int64(o.Height))); err != nil {
		t.Fatalf("set the size of the page: %v", err)
	}
	return p
}

// flags start Chromium without a screen, without its own traffic, and with nothing of this machine's user.
func flags(home string, o Options) []chromedp.ExecAllocatorOption {
	list := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(executable),
		chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:"),
		chromedp.WindowSize(o.Width, o.Height),
		chromedp.WSURLReadTimeout(time.Minute),
	}
	for _, name := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "no-default-browser-check", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-default-apps", "disable-extensions", "disable-dev-shm-usage", "no-proxy-server",
		"hide-scrollbars", "mute-audio", "disable-breakpad", "disable-domain-reliability",
	} {
		list = append(list, chromedp.Flag(name, true))
	}
	if o.Dark {
		list = append(list, chromedp.Flag("force-dark-mode", true))
	}
	return list
}

// trust puts a certificate authority into the store that Chromium on Linux reads below its home folder.
func trust(ctx context.Context, home, ca string) error {
	store := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(store, 0o700); err != nil {
		return fmt.Errorf("make certificate store: %w", err)
	}
	for _, arguments := range [][]string{
		{"-N", "--empty-password"},
		{"-A", "-t", "C,,", "-n", "test", "-i", ca},
	} {
		command := exec.CommandContext(ctx, "certutil", append([]string{"-d", "sql:" + store}, arguments...)...)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("certutil %s: %w: %s (%s)", arguments[0], err, output, install)
		}
	}
	return nil
}

// listen collects what a developer would see in red.
func (p *Page) listen(event any) {
	switch e := event.(type) {
	case *cdpruntime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.fault("exception: " + text)
	case *cdpruntime.EventConsoleAPICalled:
		if e.Type == cdpruntime.ConsoleAPICalledTypeError || e.Type == cdpruntime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, argument := range e.Args {
				words = append(words, string(argument.Value)+argument.Description)
			}
			p.fault("console.error: " + strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			p.fault(string(e.Entry.Source) + ": " + e.Entry.Text + " " + e.Entry.URL)
		}
	}
}

func (p *Page) fault(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, text)
}

// Allow accepts errors in the browser's console that contain text: a refused sign-in, for example, is one to Chromium.
func (p *Page) Allow(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, text)
}

// Saw tells whether an error in the browser's console contained text so far.
func (p *Page) Saw(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.faults, func(fault string) bool { return strings.Contains(fault, text) })
}

func (p *Page) unexpected() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.faults), func(fault string) bool {
		return slices.ContainsFunc(p.allowed, func(text string) bool { return strings.Contains(fault, text) })
	})
}

// run does actions in the tab until they are done, ctx ends, or the page has used up all patience.
func (p *Page) run(ctx context.Context, actions ...chromedp.Action[chromedp.Void]) error {
	bounded, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	return errors.Join(chromedp.Do(bounded, actions...), ctx.Err())
}

// ask does one action that gives an answer, within the same bounds as run.
func ask[T any](ctx context.Context, p *Page, action chromedp.Action[T]) (answer T, err error) {
	err = p.run(ctx, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		answer, err = action(ctx, t)
		return chromedp.Void{}, err
	})
	return answer, err
}

// Go opens a URL and waits until the document is loaded.
func (p *Page) Go(ctx context.Context, url string) error {
	if err := p.run(ctx, chromedp.Navigate(url)); err != nil {
		return fmt.Errorf("open %s: %w", url, err)
	}
	return nil
}

// URL returns where the tab is.
func (p *Page) URL(ctx context.Context) (string, error) {
	url, err := ask(ctx, p, chromedp.Location())
	if err != nil {
		return "", fmt.Errorf("ask for the address: %w", err)
	}
	return url, nil
}

// Shot writes a picture of the whole page, scrolled to its top, once it stands still, to
// test/artifacts/<test>/<number>-<step>.png.
func (p *Page) Shot(ctx context.Context, step string) error {
	const settled = 300 * time.Millisecond // longer than any transition of the pages
	if _, err := ask(ctx, p, chromedp.Evaluate[bool](`scrollTo(0, 0), true`)); err != nil {
		return fmt.Errorf("scroll to the top: %w", err)
	}
	if err := p.run(ctx, chromedp.Sleep(settled)); err != nil {
		return fmt.Errorf("wait for the page to settle: %w", err)
	}
	picture, err := ask(ctx, p, chromedp.FullScreenshot(100))
	if err != nil {
		return fmt.Errorf("take picture %s: %w", step, err)
	}
	p.shots++
	file := filepath.Join(p.folder, fmt.Sprintf("%02d-%s.png", p.shots, fileName(step)))
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}

// last keeps what a failed test saw.
func (p *Page) last(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	url, _ := p.URL(ctx)
	text, _ := p.Text(ctx)
	t.Logf("the page at the end, %s:\n%s", url, text)
	if err := p.Shot(ctx, "failed"); err != nil {
		t.Logf("no picture of it: %v", err)
	}
}

// artifacts is an empty folder for a test's pictures.
func artifacts(t testing.TB) string {
	t.Helper()
	folder := filepath.Join(testenv.Root(t), "test", "artifacts", fileName(t.Name()))
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755)); err != nil {
		t.Fatalf("make folder for pictures: %v", err)
	}
	return folder
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func fileName(text string) string {
	return strings.Trim(notInFileNames.ReplaceAllString(text, "-"), "-")
}
