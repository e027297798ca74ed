package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// size is a flag of a number of bytes, such as 500Gi.
type size int64

var _ pflag.Value = (*size)(nil)

// Set reads a number of bytes; none at all is 0.
func (s *size) Set(value string) error {
	if value == "" {
		*s = 0
		return nil
	}
	bytes, err := quota.ParseSize(value)
	*s = size(bytes)
	return err
}

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Type is the kind of value.
func (s *size) Type() string { return "size" }

func quotaFlag(f *pflag.FlagSet, into *int64) {
	f.Var((*size)(into), "storage-quota", "how much a user or a team may store that has no quota of its own, such as 500Gi: beyond it no new run begins there; empty or 0 means no limit")
}

func quotaCommand(s *settings) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List what users and teams store and may store, oldest first", Args: cobra.NoArgs}
	list.RunE = s.onDatabase(func(ctx context.Context, _ *cobra.Command, database *store.Store) (any, error) {
		return admin.Quotas(ctx, s.quotas(database))
	})
	set := s.ofEntity(&cobra.Command{
		Use: "set NAME SIZE", Short: "Set the quota of a user or a team", Args: cobra.ExactArgs(2),
		Long: "Set the quota of a user or a team, such as 500Gi or 2T, in place of the server's default. 0 means no limit, whatever the default is. " +
			"It holds for the next new run.",
		Example: "  server admin quota set ml 500Gi",
	}, func(ctx context.Context, cmd *cobra.Command, quotas *quota.Service, entity store.ID) (quota.Usage, error) {
		bytes, err := quota.ParseSize(cmd.Flags().Arg(1))
		if err != nil {
			return quota.Usage{}, err
		}
		return quotas.Set(ctx, entity, bytes)
	})
	unset := s.ofEntity(&cobra.Command{
		Use: "unset NAME", Short: "Let the server's default hold for a user or a team", Args: cobra.ExactArgs(1),
		Example: "  server admin quota unset ml",
	}, func(ctx context.Context, _ *cobra.Command, quotas *quota.Service, entity store.ID) (quota.Usage, error) {
		return quotas.Unset(ctx, entity)
	})
	measure := s.ofEntity(&cobra.Command{
		Use: "measure NAME", Short: "Measure now what a user or a team stores", Args: cobra.ExactArgs(1),
		Example: "  server admin quota measure ml",
		Long:    "Measure now what a user or a team stores, so that what was just deleted no longer counts. Running servers do so every few minutes.",
	}, func(ctx context.Context, _ *cobra.Command, quotas *quota.Service, entity store.ID) (quota.Usage, error) {
		return quotas.Measure(ctx, entity)
	})
	group := commandline.Group("quota", "List, set and unset what users and teams may store", list, set, unset, measure)
	group.Long = "List, set and unset what users and teams may store: files of runs, artifacts and history. Beyond its quota a user or a team begins no " +
		"new run; runs that have begun go on, with everything that they upload. Running servers measure every few minutes what is stored."
	quotaFlag(group.PersistentFlags(), &s.StorageQuota)
	return group
}

func (s *settings) quotas(database *store.Store) *quota.Service {
	return quota.New(database, quota.Config{Default: s.StorageQuota, Logger: s.Logger})
}

// ofEntity makes a command act on the user or the team that its first argument names.
func (s *settings) ofEntity(cmd *cobra.Command, act func(ctx context.Context, cmd *cobra.Command, quotas *quota.Service, entity store.ID) (quota.Usage, error)) *cobra.Command {
	cmd.RunE = s.onDatabase(func(ctx context.Context, cmd *cobra.Command, database *store.Store) (any, error) {
		entity, err := account.New(database, account.Config{Logger: s.Logger}).Entity(ctx, cmd.Flags().Arg(0))
		if err != nil {
			return nil, err
		}
		usage, err := act(ctx, cmd, s.quotas(database), entity.ID)
		return admin.QuotaOf(usage), err
	})
	return cmd
}
