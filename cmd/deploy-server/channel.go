package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
)

func (c *cli) newChannel() *cobra.Command {
	return c.client(commandline.Group("channel", "Make and look at channels", c.channelCreate(), c.channelList(), c.channelShow()))
}

func (c *cli) channelCreate() *cobra.Command {
	var inherits string
	command := &cobra.Command{
		Use: "create NAME", Short: "Make a channel; no error where it exists", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			channel, err := client.CreateChannel(command.Context(), admin.NewChannel{Name: arguments[0], InheritsFrom: inherits})
			if err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), channel, channelRows(channel))
		},
	}
	command.Flags().StringVar(&inherits, "inherits-from", "", "channel whose release is offered while this one has none")
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) channelList() *cobra.Command {
	command := &cobra.Command{
		Use: "list", Short: "List channels and what they offer", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			channels, err := client.Channels(command.Context())
			if err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), channels, channelRows(channels...))
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) channelShow() *cobra.Command {
	command := &cobra.Command{
		Use: "show NAME", Short: "Show a channel and its history", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			channel, err := client.Channel(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			if err := c.show(command.OutOrStdout(), channel, channelRows(channel)); err != nil || len(channel.History) == 0 || c.output == "json" {
				return err
			}
			rows := [][]string{{"SEQUENCE", "RELEASE", "ID", "PROMOTED", "BY"}}
			for _, each := range channel.History {
				rows = append(rows, []string{strconv.FormatInt(each.Sequence, 10), each.ReleaseName, each.ReleaseID, date(each.At), each.By})
			}
			if err := c.say(command.OutOrStdout(), ""); err != nil {
				return err
			}
			return c.show(command.OutOrStdout(), nil, rows)
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func channelRows(channels ...admin.Channel) [][]string {
	rows := [][]string{{"NAME", "RELEASE", "PROMOTED", "BY", "INHERITS FROM"}}
	for _, each := range channels {
		row := []string{each.Name, "", "", "", each.InheritsFrom}
		if each.Current != nil {
			row[1], row[2], row[3] = each.Current.ReleaseName, date(each.Current.At), each.Current.By
		}
		rows = append(rows, row)
	}
	return rows
}
