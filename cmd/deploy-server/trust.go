package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
)

func (c *cli) newTrust() *cobra.Command {
	return c.client(commandline.Group("trust", "Sign releases, so that operators need not trust the server alone", c.trustInit(), c.trustShow(), c.trustRoot()))
}

func (c *cli) trustInit() *cobra.Command {
	command := &cobra.Command{
		Use: "init", Short: "Make the signing keys and the signed catalog; once made they stay as they are", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			trust, err := client.InitTrust(command.Context())
			if err != nil {
				return err
			}
			return c.showTrust(command, trust)
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) trustShow() *cobra.Command {
	command := &cobra.Command{
		Use: "show", Short: "Show the fingerprint of the root, and when signatures end", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			trust, err := client.Trust(command.Context())
			if err != nil {
				return err
			}
			return c.showTrust(command, trust)
		},
	}
	c.formats(command.Flags(), "table", "json")
	return command
}

func (c *cli) trustRoot() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use: "root", Short: "Print root.json, which operators verify releases against", Args: cobra.NoArgs,
		Long: "Print root.json, which operators verify releases against.\n\n" +
			"A customer must be sure that it is yours: give it to them by another way than this server,\n" +
			"or compare its fingerprint (deploy-server trust show) with them.",
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.connect()
			if err != nil {
				return err
			}
			trust, err := client.Trust(command.Context())
			if err != nil {
				return err
			}
			if file == "" {
				_, err = command.OutOrStdout().Write(trust.Root)
				return err
			}
			if err := os.WriteFile(file, trust.Root, 0o644); err != nil {
				return fmt.Errorf("write root: %w", err)
			}
			return c.say(command.ErrOrStderr(), "fingerprint %s", trust.Fingerprint)
		},
	}
	command.Flags().StringVar(&file, "file", "", "write it to this file instead, byte for byte")
	return command
}

func (c *cli) showTrust(command *cobra.Command, trust admin.Trust) error {
	rows := [][]string{{"ROLE", "VERSION", "EXPIRES", "KEY"}}
	for _, each := range trust.Roles {
		key := "kept elsewhere"
		if each.KeyPresent {
			key = "on the server"
		}
		rows = append(rows, []string{each.Name, fmt.Sprint(each.Version), date(each.ExpiresAt), key})
	}
	if err := c.say(command.OutOrStdout(), "Fingerprint of the root (SHA-256): %s\n", trust.Fingerprint); err != nil {
		return err
	}
	return c.show(command.OutOrStdout(), trust, rows)
}
