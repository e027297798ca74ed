package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// recently is how long after its last request a follower counts as running: followers ask every 30 seconds.
const recently = 2 * time.Minute

func (c *cli) newRelease() *cobra.Command {
	return c.client(commandline.Group("release", "Publish releases and point channels at them", c.releasePublish(), c.releaseList(), c.releaseShow(), c.releasePromote()))
}

func (c *cli) releasePublish() *cobra.Command {
	var (
		wanted admin.NewRelease
		values string
		wait   time.Duration
	)
	command := &cobra.Command{
		Use: "publish", Short: "Store a release; it never changes", Args: cobra.NoArgs,
		Example: "  deploy-server release publish --name v1.2.0 --chart operator-wandb --chart-version 1.2.0 --values values.yaml --promote stable",
		RunE: func(command *cobra.Command, _ []string) (err error) {
			client, err := c.connect()
			if err != nil {
				return err
			}
			if wanted.Values, err = readValues(values, command.InOrStdin()); err != nil {
				return err
			}
			if wait > 0 && wanted.Promote == "" {
				return errors.New("--wait needs --promote: nobody is given a release that no channel offers")
			}
			wanted.By = c.actor()
			release, err := client.Publish(command.Context(), wanted)
			if err != nil {
				return err
			}
			if err := c.show(command.OutOrStdout(), release, releaseRows(release)); err != nil || wait == 0 {
				return err
			}
			return c.awaitFollowers(command.Context(), command.OutOrStdout(), client, wanted.Promote, release.ID, wait)
		},
	}
	flags := command.Flags()
	flags.StringVar(&wanted.Name, "name", "", "what people call the release, for example v1.2.0 (required)")
	flags.StringVar(&wanted.Chart.Name, "chart", "", "name of the chart")
	flags.StringVar(&wanted.Chart.Version, "chart-version", "", "exact version of the chart (required)")
	flags.StringVar(&wanted.Chart.URL, "chart-url", "", "URL of another Helm repository, or of an oci:// chart (default: this server's repository)")
	flags.StringVar(&values, "values", "", "YAML or JSON file of Helm values, - for standard input")
	flags.StringVar(&wanted.Promote, "promote", "", "channel to point at the release at once")
	flags.DurationVar(&wait, "wait", 0, "how long to wait until the running followers of the channel have the release")
	c.formats(flags, "table", "json")
	_ = command.MarkFlagRequired("name")
	_ = command.MarkFlagRequired("chart-version")
	return command
}

// readValues turns a YAML or JSON file into JSON. Keys given twice are refused: one of them would be lost.
func readValues(path string, stdin io.Reader) (json.RawMessage, error) {
	var (
		text []byte
		err  error
	)
	switch path {
	case "":
		return nil, nil
	case "-":
		text, err = io.ReadAll(io.LimitReader(stdin, maxFileBytes))
	default:
		text, err = readFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	values, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, &fault.Error{Reason: "ValuesInvalid", Op: "read values " + path, Err: err, Hint: "Correct the file; it must be one YAML or JSON object."}
	}
	if trimmed := strings.TrimSpace(string(values)); trimmed != "null" && !strings.HasPrefix(trimmed, "{") {
		return nil, &fault.Error{Reason: "ValuesInvalid", Op: "read values " + path, Err: errors.New("it holds no object"), Hint: "Correct the file; it must be one YAML or JSON object."}
	}
	return values, nil
}

func (c *cli) releasePromote() *cobra.Command {
	var (
		channel string
		wait    time.Duration
	)
	command := &cobra.Command{
		Use: "promote ID|NAME", Short: "Point a channel at a release", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			promotion, err := client.Promote(command.Context(), channel, admin.NewPromotion{Release: arguments[0], By: c.actor()})
			if err != nil {
				return err
			}
			rows := [][]string{{"CHANNEL", "RELEASE", "ID", "SEQUENCE", "BY"}, {
				promotion.Channel, promotion.ReleaseName, promotion.ReleaseID, fmt.Sprint(promotion.Sequence), promotion.By,
			}}
			if err := c.show(command.OutOrStdout(), promotion, rows); err != nil || wait == 0 {
				return err
			}
			return c.awaitFollowers(command.Context(), command.OutOrStdout(), client, channel, promotion.ReleaseID, wait)
		},
	}
	command.Flags().StringVar(&channel, "channel", "", "the channel (required)")
	command.Flags().DurationVar(&wait, "wait", 0, "how long to wait until the running followers of the channel have the release")
	c.formats(command.Flags(), "table", "json")
	_ = command.MarkFlagRequired("channel")
	return command
}

// awaitFollowers waits until every follower of the channel that is running has been given the release.
func (c *cli) awaitFollowers(ctx context.Context, out io.Writer, client *admin.Client, channel, release string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for {
		licenses, err := client.Licenses(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		have, running := 0, 0
		for _, each := range licenses {
			if each.Channel != channel || each.LastSeen == nil || time.Since(each.LastSeen.At) > recently {
				continue
			}
			running++
			if each.LastSeen.ReleaseID == release {
				have++
			}
		}
		if err == nil && have == running {
			return c.say(out, "%d of %d running followers have the release", have, running)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return &fault.Error{
				Reason: "FollowersBehind", Op: "wait for followers", Retry: true, Hint: "See who lacks it: deploy-server license list.",
				Err: fmt.Errorf("after %s %d of %d running followers have the release", limit, have, running),
			}
		}
	}
}

func (c *cli) releaseList() *cobra.Command {
	command := &cobra.Command{
		Use: "list", Short: "List releases, newest first", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			releases, err := client.Releases(command.Context())
			if err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), releases, releaseRows(releases...))
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) releaseShow() *cobra.Command {
	command := &cobra.Command{
		Use: "show ID|NAME", Short: "Show a release and its values", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			release, err := client.Release(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			if err := c.show(command.OutOrStdout(), release, releaseRows(release)); err != nil || c.output == "json" {
				return err
			}
			values, err := yaml.JSONToYAML(release.Values)
			if err != nil {
				return fmt.Errorf("show values: %w", err)
			}
			return c.say(command.OutOrStdout(), "\n%s", strings.TrimSuffix(string(values), "\n"))
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func releaseRows(releases ...admin.Release) [][]string {
	rows := [][]string{{"NAME", "ID", "CHART", "VERSION", "PUBLISHED", "BY", "CHANNELS"}}
	for _, each := range releases {
		chart, _ := each.Chart["name"].(string)
		location, _ := each.Chart["url"].(string)
		chartVersion, _ := each.Chart["version"].(string)
		rows = append(rows, []string{
			each.Name, each.ID, cmp.Or(chart, location), chartVersion, date(each.CreatedAt), each.CreatedBy, strings.Join(each.Channels, ", "),
		})
	}
	return rows
}
