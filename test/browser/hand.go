package browser

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Element is something on a page as assistive technology knows it: its role and its accessible name.
type Element struct {
	// Role as in WAI-ARIA: button, link, textbox, heading, menuitem, status …; empty means any.
	Role string
	// Name is the whole accessible name.
	Name string
}

// String returns `button "Save"`.
func (e Element) String() string {
	if e.Role == "" {
		return fmt.Sprintf("element %q", e.Name)
	}
	return fmt.Sprintf("%s %q", e.Role, e.Name)
}

// Button, Link, Field, Heading and MenuItem name the usual elements.
func Button(name string) Element   { return Element{"button", name} }
func Link(name string) Element     { return Element{"link", name} }
func Field(name string) Element    { return Element{"textbox", name} }
func Heading(name string) Element  { return Element{"heading", name} }
func MenuItem(name string) Element { return Element{"menuitem", name} }

var errNotThere = errors.New("it is not on the page")

// See waits until the page shows an element.
func (p *Page) See(ctx context.Context, e Element) error {
	_, err := p.find(ctx, e)
	return err
}

// SeeAny waits until the page shows one of several elements, and returns which.
func (p *Page) SeeAny(ctx context.Context, elements ...Element) (Element, error) {
	var found Element
	err := p.until(ctx, func(ctx context.Context, t *chromedp.Target) error {
		for _, e := range elements {
			if nodes, err := query(ctx, t, e); err == nil && len(nodes) > 0 {
				found = e
				return nil
			}
		}
		return errNotThere
	})
	if err != nil {
		return Element{}, fmt.Errorf("look for one of %v: %w", elements, err)
	}
	return found, nil
}

// SeeText waits until the page shows a text.
func (p *Page) SeeText(ctx context.Context, text string) error {
	var shown string
	err := p.until(ctx, func(ctx context.Context, t *chromedp.Target) error {
		var err error
		if shown, err = visibleText(ctx, t); err != nil {
			return err
		}
		if !strings.Contains(shown, text) {
			return errNotThere
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the text %q: %w; the page shows: %s", text, err, shown)
	}
	return nil
}

// SeeImage waits until the page shows an image whose bytes have arrived and are one.
func (p *Page) SeeImage(ctx context.Context, name string) error {
	image := Element{"image", name}
	node, err := p.find(ctx, image)
	if err != nil {
		return err
	}
	err = p.until(ctx, func(ctx context.Context, t *chromedp.Target) error {
		drawn, err := call[bool](node, `function() { return this.complete && this.naturalWidth > 0 }`)(ctx, t)
		if err == nil && !drawn {
			err = errors.New("it is not drawn")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look at %s: %w", image, err)
	}
	return nil
}

// Text returns all that the page shows.
func (p *Page) Text(ctx context.Context) (string, error) { return ask(ctx, p, visibleText) }

// TextOf returns what an element shows, or holds if it is a field.
func (p *Page) TextOf(ctx context.Context, e Element) (string, error) {
	node, err := p.find(ctx, e)
	if err != nil {
		return "", err
	}
	return ask(ctx, p, call[string](node, `function() { return this.value ?? this.innerText }`))
}

// Click presses the left button of the mouse in the middle of an element, once it stands still.
func (p *Page) Click(ctx context.Context, e Element) error {
	node, err := p.find(ctx, e)
	if err != nil {
		return err
	}
	var x, y float64
	err = p.until(ctx, func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node}); err != nil {
			return err
		}
		nowX, nowY, err := middle(ctx, t, node)
		if err != nil {
			return err
		}
		if nowX != x || nowY != y {
			x, y = nowX, nowY
			return errors.New("it is still moving")
		}
		return uncovered(ctx, t, node, x, y)
	})
	if err == nil {
		err = p.run(ctx, chromedp.MouseClickXY(x, y))
	}
	if err != nil {
		return fmt.Errorf("click %s: %w", e, err)
	}
	return nil
}

// Fill replaces what a field holds, as if text were typed or pasted into it.
func (p *Page) Fill(ctx context.Context, e Element, text string) error {
	if err := p.Click(ctx, e); err != nil {
		return err
	}
	err := p.run(ctx,
		chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)),
		chromedp.KeyEvent(kb.Delete),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
			return err
		}),
	)
	if err != nil {
		return fmt.Errorf("fill %s: %w", e, err)
	}
	return nil
}

// Press presses a key, for example kb.Escape, or a letter with Ctrl.
func (p *Page) Press(ctx context.Context, key string, ctrl bool) error {
	var options []chromedp.KeyOption
	if ctrl {
		options = append(options, chromedp.KeyModifiers(chromedp.ModifierCtrl))
	}
	return p.run(ctx, chromedp.KeyEvent(key, options...))
}

func (p *Page) find(ctx context.Context, e Element) (cdp.BackendNodeID, error) {
	var found cdp.BackendNodeID
	err := p.until(ctx, func(ctx context.Context, t *chromedp.Target) error {
		nodes, err := query(ctx, t, e)
		if err != nil {
			return err
		}
		switch len(nodes) {
		case 0:
			return errNotThere
		case 1:
			found = nodes[0]
			return nil
		}
		return fmt.Errorf("there are %d of them", len(nodes))
	})
	if err != nil {
		return 0, fmt.Errorf("look for %s: %w", e, err)
	}
	return found, nil
}

// until repeats look until it succeeds, ctx ends, or all patience is used up; then it returns look's last error.
func (p *Page) until(ctx context.Context, look func(context.Context, *chromedp.Target) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	last := errNotThere
	for {
		one, done := context.WithTimeout(ctx, oneLook)
		err := p.run(one, chromedp.Func(look))
		done()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil { // else the look was cut short, and the one before it tells more
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-p.tab.Done():
			return errors.Join(last, errors.New("the browser has ended"))
		case <-tick.C:
		}
	}
}

// query asks the browser's accessibility tree.
func query(ctx context.Context, t *chromedp.Target, e Element) ([]cdp.BackendNodeID, error) {
	document, err := cdp.Call(ctx, t, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return nil, err
	}
	answer, err := cdp.Call(ctx, t, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{
		BackendNodeID: document.Root.BackendNodeID, AccessibleName: e.Name, Role: e.Role,
	})
	if err != nil {
		return nil, err
	}
	var nodes []cdp.BackendNodeID
	for _, node := range answer.Nodes {
		if !node.Ignored && node.BackendDOMNodeID != 0 {
			nodes = append(nodes, node.BackendDOMNodeID)
		}
	}
	return nodes, nil
}

func middle(ctx context.Context, t *chromedp.Target, node cdp.BackendNodeID) (x, y float64, err error) {
	answer, err := cdp.Call(ctx, t, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node})
	if err != nil {
		return 0, 0, err
	}
	if len(answer.Quads) == 0 || len(answer.Quads[0]) != 8 {
		return 0, 0, errors.New("it takes no space on the page")
	}
	for i := 0; i < 8; i += 2 {
		x, y = x+answer.Quads[0][i]/4, y+answer.Quads[0][i+1]/4
	}
	return x, y, nil
}

// uncovered fails where something else would take a click at that place.
func uncovered(ctx context.Context, t *chromedp.Target, node cdp.BackendNodeID, x, y float64) error {
	free, err := call[bool](node, fmt.Sprintf(`function() {
		const hit = document.elementFromPoint(%f, %f);
		return hit !== null && (this.contains(hit) || hit.contains(this) || hit.closest("label")?.control === this);
	}`, x, y))(ctx, t)
	if err == nil && !free {
		err = errors.New("something else lies over it")
	}
	return err
}

// call runs a function with the node as this.
func call[T any](node cdp.BackendNodeID, function string) chromedp.Action[T] {
	return func(ctx context.Context, t *chromedp.Target) (T, error) {
		resolved, err := cdp.Call(ctx, t, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node})
		if err != nil {
			var none T
			return none, err
		}
		return chromedp.CallFunctionOn[T](function, func(p *cdpruntime.CallFunctionOnParams) {
			p.ObjectID = resolved.Object.ObjectID
		})(ctx, t)
	}
}

// visibleText is all that the page shows.
func visibleText(ctx context.Context, t *chromedp.Target) (string, error) {
	return chromedp.Evaluate[string](`document.body?.innerText ?? ""`)(ctx, t)
}
