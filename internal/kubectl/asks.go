package kubectl

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/plan"
	"github.com/kubewandb/kubewandb/internal/request"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// defaultWait is longer than the rollout of objects with its default timeout; a migration may need more.
const defaultWait = 15 * time.Minute

func waits(command *cobra.Command, flags *waitFlags) *cobra.Command {
	command.Flags().BoolVar(&flags.wait, "wait", false, "wait until the operator has acted, and tell of its progress")
	command.Flags().DurationVar(&flags.timeout, "timeout", defaultWait, "how long --wait waits; the request stays")
	return command
}

// asks are the commands that ask something of the operator.
func (p *plugin) asks() []*cobra.Command {
	approve := &approval{}
	approving := &cobra.Command{
		Use: "approve [name]", Short: "Let exactly the newest plan be applied",
		Long: "Let exactly the newest plan be applied. It is shown first, and asked about unless --yes is given. " +
			"When anything that the plan rests on changes afterwards, the approval is void.",
		Example: "  kubectl wandb approve\n  kubectl wandb approve wandb --plan 1f0c2d3e4a5b --yes --wait",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return p.approve(c.Context(), first(args), approve) },
	}
	approving.Flags().StringVar(&approve.plan, "plan", "", "digest of the plan that you have seen, whole or its first letters; another newest plan is refused")
	approving.Flags().BoolVar(&approve.yes, "yes", false, "do not ask")

	var pinned string
	var pinWait, suspendWait, resumeWait, retryWait, forceWait, backWait waitFlags
	pinning := &cobra.Command{
		Use: "pin [name]", Short: "Keep one release, whatever the channel offers",
		Long:    "Keep one release, whatever the channel offers. Values that people set are applied all the same. --wait needs --release.",
		Example: "  kubectl wandb pin\n  kubectl wandb pin wandb --release 4f1c0a52-7a4e-4a55-a4de-1f1a5e6ff2f0",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.pin(c.Context(), first(args), pinned, pinWait)
		},
	}
	pinning.Flags().StringVar(&pinned, "release", "", "ID of the release on the deploy server; default: the release that runs")

	unpinning := &cobra.Command{
		Use: "unpin [name]", Short: "Follow the channel again", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return p.unpin(c.Context(), first(args)) },
	}
	suspending := &cobra.Command{
		Use: "suspend [name]", Short: "Stop the operator from changing anything", Args: cobra.MaximumNArgs(1),
		Long: "Stop the operator from changing anything, until \"kubectl wandb resume\". The application goes on running, and status is kept up to date.",
		RunE: func(c *cobra.Command, args []string) error { return p.suspend(c.Context(), first(args), suspendWait) },
	}
	resuming := &cobra.Command{
		Use: "resume [name]", Short: "Let the operator work again", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return p.resume(c.Context(), first(args), resumeWait) },
	}
	var unsafe bool
	back := &cobra.Command{
		Use: "rollback [name] <revision>", Short: "Go back to an earlier revision",
		Long: "Go back to an earlier revision, as \"helm history\" and \"kubectl wandb status\" number them. Where that release cannot read the " +
			"data any more, the operator refuses; --unsafe insists.",
		Example: "  kubectl wandb rollback 4\n  kubectl wandb rollback wandb 4 --wait",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			name := ""
			if len(args) == 2 {
				name = args[0]
			}
			return p.rollback(c.Context(), name, args[len(args)-1], unsafe, backWait)
		},
	}
	back.Flags().BoolVar(&unsafe, "unsafe", false, "although the release's statement about its data forbids it: data may be lost")
	retrying := &cobra.Command{
		Use: "retry [name]", Short: "Try again what has failed", Args: cobra.MaximumNArgs(1),
		Long: "Try the specification again that has failed, without waiting any longer and although the operator has given it up.",
		RunE: func(c *cobra.Command, args []string) error { return p.retry(c.Context(), first(args), retryWait) },
	}
	forcing := &cobra.Command{
		Use: "force [name]", Short: "Apply the specification now", Args: cobra.MaximumNArgs(1),
		Long: "Apply the specification now: outside of windows, and although it is installed already. It makes a new revision.",
		RunE: func(c *cobra.Command, args []string) error { return p.force(c.Context(), first(args), forceWait) },
	}
	return []*cobra.Command{
		waits(approving, &approve.waitFlags), waits(pinning, &pinWait), unpinning, waits(suspending, &suspendWait),
		waits(resuming, &resumeWait), waits(back, &backWait), waits(retrying, &retryWait), waits(forcing, &forceWait),
	}
}

// approval is what approve was told.
type approval struct {
	waitFlags
	plan string
	yes  bool
}

// shortest is how many letters of a digest name a plan.
const shortest = 6

func (p *plugin) approve(ctx context.Context, name string, wanted *approval) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	if update := resource.Spec.Update; update != nil && update.Approve != "" {
		return overruled(resource, "approve a plan", "spec.update.approve", "Set it to the digest of the plan there, where the resource is kept.")
	}
	newest, err := p.waiting(ctx, resource)
	if err != nil {
		return err
	}
	if newest == nil {
		return &fault.Error{
			Reason: "PlanMissing", Op: "approve the plan of " + resource.Name, Err: errors.New("no plan waits"),
			Hint: fmt.Sprintf(`"kubectl wandb status %s" tells what the operator does next.`, resource.Name),
		}
	}
	if err := isNewest(newest.Digest, wanted.plan); err != nil {
		return err
	}
	if err := p.agree(newest, wanted.yes); err != nil {
		return err
	}
	mark, err := p.ask(ctx, resource, func(set *request.Set, mark request.Mark) error {
		set.Approve = &request.Approve{Mark: mark, Plan: newest.Digest, MadeAt: newest.CreatedAt}
		return nil
	})
	if err != nil {
		return err
	}
	p.say("Plan %s is approved in the name of %s. It is applied as soon as windows and checks allow it.", short(newest.Digest), mark.By)
	if !newest.Adoption && policy(resource) != appsv1.UpdateApproval {
		p.say("note: with update policy %s no plan waits for an approval.", policy(resource))
	}
	return p.await(ctx, wanted.waitFlags, resource, applied(resource, newest.Digest))
}

func policy(resource *appsv1.WeightsAndBiases) appsv1.UpdatePolicy {
	if resource.Spec.Update == nil {
		return appsv1.UpdateAutomatic
	}
	return cmp.Or(resource.Spec.Update.Policy, appsv1.UpdateAutomatic)
}

func isNewest(digest, wanted string) error {
	plain := strings.TrimPrefix(wanted, "sha256:")
	if wanted == "" || len(plain) >= shortest && strings.HasPrefix(strings.TrimPrefix(digest, "sha256:"), plain) {
		return nil
	}
	problem := &fault.Error{
		Reason: "PlanOutdated", Op: "approve plan " + wanted, Err: fmt.Errorf("the newest plan is %s", short(digest)),
		Hint: `Look at it with "kubectl wandb diff", and approve that one.`,
	}
	if len(plain) < shortest {
		problem.Err = fmt.Errorf("a plan is named by at least %d letters of its digest", shortest)
	}
	return problem
}

// agree shows the plan and asks, unless the answer was given already.
func (p *plugin) agree(newest *plan.Plan, yes bool) error {
	if err := p.write(plan.Text(newest, plan.TextOptions{Color: p.streams.Color})); err != nil || yes {
		return err
	}
	if err := p.write("\nApply this plan? Only \"yes\" approves it: "); err != nil {
		return err
	}
	const longest = 64
	answer, err := bufio.NewReader(io.LimitReader(p.streams.In, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(answer) == "yes" {
		return nil
	}
	p.say("Nothing was approved. Without a terminal, give --plan and --yes.")
	return no()
}

func (p *plugin) pin(ctx context.Context, name, release string, flags waitFlags) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	if field := pinnedBy(resource); field != "" {
		return overruled(resource, "pin a release", field, "Change spec.update where the resource is kept.")
	}
	if flags.wait && release == "" {
		return &fault.Error{
			Reason: "NothingToWaitFor", Op: "wait for the pin", Err: errors.New("the release that runs is kept, so that nothing happens"),
			Hint: "Leave --wait out, or name a --release.",
		}
	}
	_, err = p.ask(ctx, resource, func(set *request.Set, mark request.Mark) error {
		set.Pin = &request.Pin{Mark: mark, Release: release}
		return nil
	})
	if err != nil {
		return err
	}
	if release == "" {
		p.say("The release that runs is kept (%s), until \"kubectl wandb unpin %s\".", runs(resource.Status.Release, p.streams.Now()), resource.Name)
		return nil
	}
	p.say("Release %s is installed next and kept, until \"kubectl wandb unpin %s\".", release, resource.Name)
	return p.await(ctx, flags, resource, runsRelease(release))
}

// pinnedBy returns the field of the resource that says which releases are taken; "" where it says nothing.
func pinnedBy(resource *appsv1.WeightsAndBiases) string {
	switch update := resource.Spec.Update; {
	case update == nil:
		return ""
	case update.Release != "":
		return "spec.update.release"
	case update.Policy != "":
		return "spec.update.policy"
	}
	return ""
}

func (p *plugin) unpin(ctx context.Context, name string) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	if field := pinnedBy(resource); field != "" {
		return overruled(resource, "unpin", field, "Change spec.update where the resource is kept.")
	}
	if err := p.consolePin(ctx, resource); err != nil {
		return err
	}
	pinned := false
	_, err = p.ask(ctx, resource, func(set *request.Set, _ request.Mark) error {
		pinned, set.Pin = set.Pin != nil, nil
		return nil
	})
	if err != nil {
		return err
	}
	if !pinned {
		p.say("Nothing was pinned.")
		return nil
	}
	p.say("The channel is followed again; a newer release is planned next.")
	return nil
}

// consolePin refuses to unpin what the settings of the console pin: text and values there belong together.
func (p *plugin) consolePin(ctx context.Context, resource *appsv1.WeightsAndBiases) error {
	secret, err := p.secret(ctx, resource.Name+userSuffix)
	if err != nil || secret == nil {
		return err
	}
	layer, err := spec.Decode(spec.LayerUser, secret.Data)
	if err != nil {
		return nil // the operator reports a layer that cannot be read, and it pins nothing
	}
	if pinned, _ := layer.Values[spec.KeyReleaseID].(string); pinned != "" {
		return &fault.Error{
			Reason: "PinnedByConsole", Op: "unpin", Err: fmt.Errorf("%s in the settings of the System Console pins release %s", spec.KeyReleaseID, pinned),
			Hint: "Remove " + spec.KeyReleaseID + " in the settings of the System Console.",
		}
	}
	return nil
}

func (p *plugin) suspend(ctx context.Context, name string, flags waitFlags) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	if resource.Spec.Suspend {
		return overruled(resource, "suspend", "spec.suspend", "It is suspended already; set spec.suspend to false where the resource is kept to end that.")
	}
	var by request.Mark
	_, err = p.ask(ctx, resource, func(set *request.Set, mark request.Mark) error {
		if set.Suspend == nil {
			set.Suspend = &mark
		}
		by = *set.Suspend
		return nil
	})
	if err != nil {
		return err
	}
	p.say("The operator changes nothing until \"kubectl wandb resume %s\" (asked by %s). What Helm has begun, it ends.", resource.Name, by.By)
	return p.await(ctx, flags, resource, func(resource *appsv1.WeightsAndBiases) (bool, error) { return suspended(resource), nil })
}

func (p *plugin) resume(ctx context.Context, name string, flags waitFlags) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	if resource.Spec.Suspend {
		return overruled(resource, "resume", "spec.suspend", "Set spec.suspend to false where the resource is kept.")
	}
	was := false
	_, err = p.ask(ctx, resource, func(set *request.Set, _ request.Mark) error {
		was, set.Suspend = set.Suspend != nil, nil
		return nil
	})
	if err != nil {
		return err
	}
	if !was {
		p.say("Nothing was suspended.")
		return nil
	}
	p.say("The operator works again.")
	return p.await(ctx, flags, resource, func(resource *appsv1.WeightsAndBiases) (bool, error) { return !suspended(resource), nil })
}
