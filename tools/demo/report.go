package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
)

// report prints where everything is and what to try next.
func (d *Demo) report(ctx context.Context, version string) error {
	r, err := d.resource(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nW&B Server %s is running: release %s, Helm revision %d.\n\n", version, r.Status.Release.Name, r.Status.Release.Revision)
	rows := [][2]string{
		{"Application", d.wandbURL()},
		{"System Console", d.wandbURL() + "/console"},
		{"Console password", "kubectl get secret wandb-password -o jsonpath='{.data.password}' | base64 -d"},
		{"Deploy server", d.deployURL()},
		{"Helm repository", d.deployURL() + "/charts"},
		{"Kubeconfig", d.kubeconfig()},
	}
	if ca := d.cluster.authority(); ca != "" {
		rows = append(rows, [2]string{"CA certificate", ca})
	}
	for _, row := range rows {
		fmt.Fprintf(table, "  %s\t%s\n", row[0], row[1])
	}
	fmt.Fprint(table, `
Try next:
  eval "$(make -s demo-env)"        kubectl, helm, our programs and the wandb client find the demo
  kubectl get wandb                 the custom resource tells its story
  wandb login --verify --host $WANDB_BASE_URL
                                    after the first visit to the application made you an account
  make demo-release                 publish a new release and watch it roll out
  make demo-down                    remove everything
`)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// Down removes the cluster, or what we put on somebody's, and the folder with the demo's keys.
func (d *Demo) Down(ctx context.Context) error {
	err := d.progress.step("Remove the demo", func() error {
		if d.settings.Context == "" {
			if err := d.buildTools(ctx); err != nil {
				return err
			}
		}
		return d.cluster.down(ctx)
	})
	return errors.Join(err, os.RemoveAll(d.settings.Dir))
}
