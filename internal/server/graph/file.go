package graph

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// done is what mutations say that have nothing else to tell.
var done = true

const (
	fileKind = "File"
	// missingFileKind is of files that were asked for by name and do not exist.
	missingFileKind = "MissingFile"
	// missingMD5 is how clients tell that a file does not exist.
	missingMD5 = "0"
)

// runAt finds a run by its names, for a user who may do something to it.
func (r *Resolver) runAt(ctx context.Context, entity, project *string, name string, action access.Action) (access.Place, store.RunRecord, error) {
	place, err := r.Guard.Project(ctx, value(entity), value(project), action)
	if err != nil {
		return place, store.RunRecord{}, err
	}
	record, err := r.Runs.ByName(ctx, place, name)
	return place, record, err
}

func (r *Resolver) createRunFiles(ctx context.Context, input model.CreateRunFilesInput) (*model.CreateRunFilesPayload, error) {
	_, record, err := r.runAt(ctx, input.EntityName, input.ProjectName, input.RunName, access.Write)
	if err != nil {
		return nil, err
	}
	uploads, err := r.Runs.Uploads(ctx, record.ID, input.Files)
	if err != nil {
		return nil, err
	}
	id := model.ID("Run", record.ID)
	payload := &model.CreateRunFilesPayload{RunID: &id, UploadHeaders: []string{}, ClientMutationID: input.ClientMutationID}
	payload.Files = make([]*model.RunFileUpload, len(uploads))
	for i, upload := range uploads {
		payload.Files[i] = &model.RunFileUpload{Name: upload.Name, UploadURL: &upload.URL}
		payload.UploadHeaders = upload.Headers // they do not depend on the file
	}
	return payload, nil
}

func (r *Resolver) filesOf(
	ctx context.Context, obj *model.Run, names []string, after *string, first *int, pattern *string,
) (*model.FileConnection, error) {
	filter := run.FileFilter{Names: names, Pattern: value(pattern), First: value(first)}
	if value(after) != "" {
		name, err := base64.StdEncoding.DecodeString(*after)
		if err != nil {
			return nil, badCursor(*after)
		}
		filter.After = string(name)
	}
	page, err := r.Runs.List(ctx, obj.Run.ID, filter)
	if err != nil {
		return nil, err
	}
	connection := &model.FileConnection{
		Edges: make([]*model.FileEdge, len(page.Files)), PageInfo: &model.PageInfo{HasNextPage: page.More},
		Count: func(ctx context.Context) (int, error) { return r.Runs.Count(ctx, obj.Run.ID, filter) },
	}
	for i, file := range page.Files {
		cursor := base64.StdEncoding.EncodeToString([]byte(file.Name))
		connection.Edges[i] = &model.FileEdge{Node: r.fileOf(obj, file), Cursor: cursor}
		connection.PageInfo.EndCursor = &cursor
	}
	return connection, nil
}

func badCursor(cursor string) error {
	return &fault.Error{
		Reason: run.ReasonInvalid, Op: fmt.Sprintf("%q is no cursor of this list", cursor),
		Hint: "Cursors come from earlier answers of this server; ask without one for the first page.",
	}
}

func (r *Resolver) fileOf(obj *model.Run, file run.File) *model.File {
	name := string(file.Name)
	f := &model.File{
		ID: model.ID(fileKind, file.ID), Name: name, SizeBytes: file.Size, MD5: model.MD5(file.MD5),
		Address: func(ctx context.Context, upload bool) (string, error) {
			if !upload {
				return r.Runs.FileAddress(obj.Place, obj.Name(), name), nil
			}
			if !obj.Place.May(access.Write) {
				return "", &fault.Error{Reason: access.ReasonForbidden, Op: "you may see the run but not write its files"}
			}
			signed, err := r.Runs.SignUpload(ctx, obj.Run.ID, name)
			return signed.URL, err
		},
		Direct: func(ctx context.Context) (string, error) { return r.Runs.SignDownload(ctx, obj.Run.ID, name) },
		Headers: func(ctx context.Context) ([]string, error) {
			signed, err := r.Runs.SignUpload(ctx, obj.Run.ID, name)
			return signed.Headers, err
		},
	}
	if file.Missing {
		md5 := missingMD5
		f.ID, f.MD5 = base64.StdEncoding.EncodeToString([]byte(missingFileKind+":"+name)), &md5
		return f
	}
	updated, mimetype := file.UpdatedAt.Time(), string(file.Mimetype)
	f.UpdatedAt, f.Mimetype = &updated, &mimetype
	return f
}

// fileIDs reads the ids of files; those of files that were not there are left out.
func fileIDs(ids []string) ([]store.ID, error) {
	var numbers []store.ID
	for _, id := range ids {
		if plain, err := base64.StdEncoding.DecodeString(id); err == nil && strings.HasPrefix(string(plain), missingFileKind+":") {
			continue
		}
		number, err := parseID(id, fileKind)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// named drops null, which a client's type of variable allows among the names.
func named(names []*string) []string {
	given := make([]string, 0, len(names))
	for _, name := range names {
		if name != nil {
			given = append(given, *name)
		}
	}
	return given
}
