package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
)

func (c *cli) newChart() *cobra.Command {
	return c.client(commandline.Group("chart", "Fill the Helm repository", c.chartPush(), c.chartList()))
}

func (c *cli) chartPush() *cobra.Command {
	command := &cobra.Command{
		Use: "push FILE.tgz", Short: "Upload a packaged chart; a version never changes", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			archive, err := readFile(arguments[0])
			if err != nil {
				return fmt.Errorf("read chart: %w", err)
			}
			chart, err := client.PushChart(command.Context(), archive)
			if err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), chart, chartRows(chart))
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) chartList() *cobra.Command {
	command := &cobra.Command{
		Use: "list", Short: "List charts, newest version first", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			charts, err := client.Charts(command.Context())
			if err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), charts, chartRows(charts...))
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func chartRows(charts ...admin.Chart) [][]string {
	rows := [][]string{{"NAME", "VERSION", "APP VERSION", "PUSHED", "SIZE", "SHA256"}}
	for _, each := range charts {
		rows = append(rows, []string{
			each.Name, each.Version, each.AppVersion, date(each.CreatedAt), fmt.Sprintf("%.1f KiB", float64(each.Size)/1024), each.Digest[:min(12, len(each.Digest))],
		})
	}
	return rows
}
