package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Info is where and how a run's program was started. What is not known is nil.
type Info struct {
	Program, OS, Python, Colab, Executable, GPU *string
	Args                                        []string
	CodeSaved                                   *bool
	CPUCount, GPUCount                          *int
	Git                                         *GitInfo
}

// GitInfo is the state of the program's repository.
type GitInfo struct{ Remote, Commit *string }

const (
	// metadataFile is where clients before 0.20 write what later ones write into the config.
	metadataFile = "wandb-metadata.json"
	// maxMetadata bounds what is read of it.
	maxMetadata = 1 << 20
)

// Info tells where and how a run's program was started: what its config says, and where that says nothing what is in the file that
// older clients send. ok is false where neither does.
func (s *Service) Info(ctx context.Context, id store.ID, config []byte) (info Info, ok bool, err error) {
	if info, ok := InfoOf(config); ok {
		return info, true, nil
	}
	files, err := s.store.RunFilesByName(ctx, id, []string{metadataFile})
	if err != nil || len(files) == 0 {
		return Info{}, false, err
	}
	r, _, err := s.Bucket.Get(ctx, fileKey(id, metadataFile), 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return Info{}, false, nil
	}
	if err != nil {
		return Info{}, false, err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxMetadata))
	if err := errors.Join(err, r.Close()); err != nil {
		return Info{}, false, fmt.Errorf("read %s: %w", metadataFile, err)
	}
	if environment := gjson.ParseBytes(text); gjson.ValidBytes(text) && environment.IsObject() {
		return infoOf(environment), true, nil
	}
	return Info{}, false, nil
}

// InfoOf reads what a process wrote of its environment into the run's config; of several processes, the one that began
// last. ok is false where none did.
func InfoOf(config []byte) (Info, bool) {
	var newest gjson.Result
	gjson.GetBytes(config, "_wandb.value.e").ForEach(func(_, environment gjson.Result) bool {
		if environment.IsObject() && (!newest.Exists() || environment.Get("startedAt").String() >= newest.Get("startedAt").String()) {
			newest = environment
		}
		return true
	})
	if !newest.Exists() {
		return Info{}, false
	}
	return infoOf(newest), true
}

func infoOf(environment gjson.Result) Info {
	info := Info{
		Program: first(environment, "program", "codePath"), OS: first(environment, "os"), Python: first(environment, "python"),
		Colab: first(environment, "colab"), Executable: first(environment, "executable"), GPU: first(environment, "gpu"),
		CPUCount: count(environment, "cpu_count", "cpuCount"), GPUCount: count(environment, "gpu_count", "gpuCount"),
	}
	environment.Get("args").ForEach(func(_, argument gjson.Result) bool {
		info.Args = append(info.Args, argument.String())
		return true
	})
	saved := environment.Get("codeSaved").Bool() || strings.HasPrefix(environment.Get("codePath").String(), "code/")
	info.CodeSaved = &saved
	if git := environment.Get("git"); git.IsObject() {
		info.Git = &GitInfo{Remote: first(git, "remote", "remoteUrl", "remote_url"), Commit: first(git, "commit")}
	}
	return info
}

func first(object gjson.Result, keys ...string) *string {
	for _, key := range keys {
		if value := object.Get(key); value.Exists() && value.Type != gjson.Null {
			text := value.String()
			return &text
		}
	}
	return nil
}

func count(object gjson.Result, keys ...string) *int {
	for _, key := range keys {
		if value := object.Get(key); value.Type == gjson.Number {
			n := int(value.Int())
			return &n
		}
	}
	return nil
}
