package server_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ask sends an operation as the client's Go part does, and decodes what is under data.
func (s running) ask(t testing.TB, key, query string, variables any, into any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	a := s.do(t, http.DefaultClient, call{method: "POST", path: "/graphql", key: key, body: string(body)})
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	a.decode(t, &answer)
	if a.code != http.StatusOK || len(answer.Errors) > 0 {
		t.Fatalf("%s: %d %v", strings.Fields(query)[1], a.code, answer.Errors)
	}
	if into != nil {
		if err := json.Unmarshal(answer.Data, into); err != nil {
			t.Fatal(err)
		}
	}
}

// move follows a signed URL, which names the external host, to this server.
func (s running) move(t testing.TB, method, signed string, headers []string, body string) answer {
	t.Helper()
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]string{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ":")
		header[name] = value
	}
	return s.do(t, http.DefaultClient, call{method: method, path: u.RequestURI(), body: body, header: header})
}

type uploaded struct {
	ID            string
	UploadURL     *string
	UploadHeaders []string
	Artifact      struct{ ID string }
}

const (
	beginRun       = `mutation UpsertBucket { upsertBucket(input: {name: "r", modelName: "p"}) { inserted } }`
	createArtifact = `mutation CreateArtifact($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id state artifactSequence { latestArtifact { id } } } } }`
	createManifest = `mutation CreateArtifactManifest($id: ID!, $digest: String!) { createArtifactManifest(input: {artifactID: $id, name: "wandb_manifest.json",
		digest: $digest, entityName: "ada", projectName: "p", runName: "r", type: FULL}) { artifactManifest { id file { id uploadUrl uploadHeaders } } } }`
	createFiles    = `mutation CreateArtifactFiles($input: CreateArtifactFilesInput!) { createArtifactFiles(input: $input) { files { edges { node { id uploadUrl uploadHeaders artifact { id } } } } } }`
	commitArtifact = `mutation CommitArtifact($id: ID!) { commitArtifact(input: {artifactID: $id}) { artifact { id digest } } }`
	member         = `query ArtifactMembershipByName($name: String!, $withAliases: Boolean = true) { project(name: "p", entityName: "ada") { artifactCollectionMembership(name: $name) {
		__typename id createdAt versionIndex aliases { __typename id alias } artifactCollection { __typename name project { id internalId name entity { name } } }
		artifact { __typename id digest digestAlgorithm state size fileCount ttlDurationSeconds ttlIsInherited createdAt tags { id } artifactType { name } createdBy { __typename }
			aliases @include(if: $withAliases) { alias } currentManifest { file { directUrl } }
			files(first: 10) { totalCount edges { node { __typename name directUrl } } } } } } }`
)

// TestAnArtifactGoesInAndOut does what the client does, over HTTP: also where its URLs have expired and it asks by digest.
func TestAnArtifactGoesInAndOut(t *testing.T) {
	each(t, func(t *testing.T, s running) {
		_, ada := s.createUser(t, "ada", false)
		_, eve := s.createUser(t, "eve", false)
		s.ask(t, ada, beginRun, nil, nil)
		var created struct {
			CreateArtifact struct{ Artifact struct{ ID, State string } }
		}
		s.ask(t, ada, createArtifact, map[string]any{"input": map[string]any{
			"entityName": "ada", "projectName": "p", "runName": "r", "artifactTypeName": "dataset", "artifactCollectionName": "data",
			"artifactCollectionNames": nil, "digest": "d", "digestAlgorithm": "MANIFEST_MD5", "description": nil, "metadata": nil,
			"aliases": []any{map[string]string{"artifactCollectionName": "data", "alias": "best"}}, "tags": nil, "labels": nil,
			"enableDigestDeduplication": true, "clientID": "c", "sequenceClientID": "s", "distributedID": nil, "clientMutationId": nil,
			"storageRegion": nil, "ttlDurationSeconds": nil, "historyStep": 3,
		}}, &created)
		id := created.CreateArtifact.Artifact.ID
		if decoded, err := base64.StdEncoding.DecodeString(id); err != nil || !strings.HasPrefix(string(decoded), "Artifact:") || created.CreateArtifact.Artifact.State != "PENDING" {
			t.Fatalf("got %+v", created)
		}
		const text = "the bytes"
		sum := md5.Sum([]byte(text))
		digest := base64.StdEncoding.EncodeToString(sum[:])
		var files struct {
			CreateArtifactFiles struct {
				Files struct{ Edges []struct{ Node uploaded } }
			}
		}
		s.ask(t, ada, createFiles, map[string]any{"input": map[string]any{"storageLayout": "V2", "cloudRegionID": nil, "clientMutationId": nil, "artifactFiles": []any{
			map[string]any{"artifactID": id, "name": "a b.txt", "md5": digest, "mimetype": "text/plain", "artifactManifestID": nil, "uploadPartsInput": nil},
		}}}, &files)
		file := files.CreateArtifactFiles.Files.Edges[0].Node
		if a := s.move(t, "PUT", *file.UploadURL, file.UploadHeaders, text); a.code/100 != 2 {
			t.Fatalf("upload: %d %s", a.code, a.body)
		}
		manifest := fmt.Sprintf(`{"version":1,"storagePolicy":"wandb-storage-policy-v1","storagePolicyConfig":{"storageLayout":"V2"},`+
			`"contents":{"a b.txt":{"digest":%q,"size":%d,"birthArtifactID":%q},"ref":{"digest":"e","ref":"s3://b/k","size":3}}}`, digest, len(text), file.Artifact.ID)
		manifestSum := md5.Sum([]byte(manifest))
		var put struct {
			CreateArtifactManifest struct{ ArtifactManifest struct{ File uploaded } }
		}
		s.ask(t, ada, createManifest, map[string]any{"id": id, "digest": base64.StdEncoding.EncodeToString(manifestSum[:])}, &put)
		target := put.CreateArtifactManifest.ArtifactManifest.File
		if a := s.move(t, "PUT", *target.UploadURL, target.UploadHeaders, manifest); a.code/100 != 2 {
			t.Fatalf("upload of the manifest: %d %s", a.code, a.body)
		}
		s.ask(t, ada, commitArtifact, map[string]any{"id": id}, nil)

		var read struct {
			Project struct {
				ArtifactCollectionMembership struct {
					VersionIndex int
					CreatedAt    string
					Artifact     struct {
						State           string
						Size, FileCount int
						CreatedBy       struct {
							Typename string `json:"__typename"`
						}
						CurrentManifest struct{ File struct{ DirectURL string } }
						Files           struct {
							TotalCount int
							Edges      []struct {
								Node struct{ Name, DirectURL string }
							}
						}
					}
				}
			}
		}
		s.ask(t, ada, member, map[string]any{"name": "data:best"}, &read)
		got := read.Project.ArtifactCollectionMembership
		a := got.Artifact
		if a.State != "COMMITTED" || a.Size != len(text)+3 || a.FileCount != 2 || got.CreatedAt == "" || a.CreatedBy.Typename != "Run" || a.Files.TotalCount != 2 {
			t.Errorf("got %+v", got)
		}
		if m := s.move(t, "GET", a.CurrentManifest.File.DirectURL, nil, ""); m.body != manifest {
			t.Errorf("the manifest is %s", m.body)
		}
		for _, edge := range a.Files.Edges {
			if edge.Node.Name == "ref" {
				if edge.Node.DirectURL != "s3://b/k" {
					t.Errorf("the reference leads to %s", edge.Node.DirectURL)
				}
			} else if f := s.move(t, "GET", edge.Node.DirectURL, nil, ""); f.body != text {
				t.Errorf("the file is %q", f.body)
			}
		}

		none := map[string]json.RawMessage{}
		s.ask(t, eve, `query ArtifactByID($id: ID!) { artifact(id: $id) { id } }`, map[string]any{"id": id}, &none)
		if string(none["artifact"]) != "null" {
			t.Errorf("somebody else is answered %s", none["artifact"])
		}
		hexSum := fmt.Sprintf("%x", sum)
		noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		for _, path := range []string{
			"/artifactsV2/default/ada/p/data/" + url.PathEscape(id) + "/" + hexSum + "/a%20b.txt",
			"/artifactsV2/default/ada/p/data/" + url.PathEscape(id) + "/" + url.PathEscape(id) + "/" + hexSum + "/a%20b.txt",
			"/artifactsV2/default/ada/" + url.PathEscape(id) + "/" + hexSum,
			"/artifacts/ada/" + hexSum,
		} {
			found := s.do(t, noRedirect, call{path: path, key: ada})
			if found.code != http.StatusFound {
				t.Errorf("%s: %d %s", path, found.code, found.body)
			} else if f := s.move(t, "GET", found.header.Get("Location"), nil, ""); f.body != text {
				t.Errorf("%s leads to %q", path, f.body)
			}
			if other := s.do(t, noRedirect, call{path: path, key: eve}); other.code != http.StatusNotFound || !strings.Contains(other.body, "error") {
				t.Errorf("%s for somebody else: %d %s", path, other.code, other.body)
			}
			if nobody := s.do(t, noRedirect, call{path: path}); nobody.code != http.StatusUnauthorized {
				t.Errorf("%s without a key: %d", path, nobody.code)
			}
			if absent := s.do(t, noRedirect, call{path: strings.ReplaceAll(path, hexSum, strings.Repeat("0", 32)), key: ada}); absent.code != http.StatusNotFound {
				t.Errorf("%s of an unknown digest: %d", path, absent.code)
			}
		}
	})
}
