package operator

import (
	"context"

	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/preflight"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// preflight returns what checks the surroundings of a view's specification; nil where there is no specification.
func (r *Reconciler) preflight(v *view) func(context.Context, *helm.Chart) preflight.Report {
	if v.resolved == nil {
		return nil
	}
	input := preflight.Input{
		Namespace: v.key.Namespace, Release: v.key.Name,
		Licence: preflight.LicenceVerdict{
			Present: v.licence.token != "" || v.licence.secret != "", ExpiresAt: v.licence.ends(), Err: v.licenceFault(),
		},
		Cluster: r.cluster, Airgapped: r.config.Airgapped, ChannelURL: r.config.ChannelURL, Now: r.now,
	}
	if v.chart != nil && v.chart.Form != spec.FormLocal {
		input.ChartURL = v.chart.URL
	}
	values := v.resolved.Values
	return func(ctx context.Context, chart *helm.Chart) preflight.Report {
		input.Values = chart.Complete(values)
		input.Schema, _ = chart.ParsedSchema() // the values have passed it
		return preflight.Run(ctx, input)
	}
}
