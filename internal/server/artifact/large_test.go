package artifact_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	azureblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/test/buckets"
	"github.com/kubewandb/kubewandb/test/storetest"
)

const (
	// largeSize is more than any store takes in one piece but Google, and than 32 bits count.
	largeSize = 6 << 30
	// clientPart is how the client cuts files from 2 GiB on.
	clientPart  = 100 << 20
	clientParts = (largeSize + clientPart - 1) / clientPart
	// composeLimit is how many objects Google joins at once.
	composeLimit = 32
	// clientBlock is what the client sends to Azure at once.
	clientBlock = 1 << 20
)

// TestAFileOfSixGibibytes logs an artifact with one as the client does: in parts, or to Azure in blocks. A manifest that says
// another size is refused, and the file reads back as it was.
func TestAFileOfSixGibibytes(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 24 GiB to the disks of stores, and takes a minute")
	}
	for name, prepare := range map[string]func(testing.TB) hoard{"folder": inFolder, "s3": inS3, "gcs": inGCS, "azure": inAzure} {
		t.Run(name, func(t *testing.T) {
			h := prepare(t)
			d := newDepot(t, storetest.SQLite(t), buckets.Open(t, h.cfg))
			v, err := d.service.Create(d.ada, d.place, artifact.Create{Type: "model", Collection: "large", Digest: "d", RunName: "maker"})
			if err != nil {
				t.Fatal(err)
			}
			f := newLarge(h.size)
			uploads, err := d.service.Uploads(d.ada, []artifact.FileSpec{{
				ArtifactID: v.Artifact.ID, Name: "large.bin", MD5: f.digest(), Parts: f.parts(), Mimetype: "application/x-large",
			}})
			if err != nil {
				t.Fatal(err)
			}
			h.send(t, d, v.Artifact.ID, uploads[0], f)

			m, err := d.service.CreateManifest(d.ada, v.Artifact.ID, artifact.NewManifest{Kind: store.ManifestFull, Name: "m.json", Digest: "d"})
			if err != nil {
				t.Fatal(err)
			}
			say := func(size int64) {
				d.put(t, store.ManifestKey(v.Artifact, m.ID), fmt.Sprintf(`{"version":1,"storagePolicy":"wandb-storage-policy-v1",
					"contents":{"large.bin":{"digest":%q,"birthArtifactID":"QXJ0aWZhY3Q6MQ==","size":%d}}}`, f.digest(), size))
			}
			for _, wrong := range []int64{h.total - 1, h.total + 1<<32} {
				say(wrong)
				want := fmt.Sprintf("has %d bytes in the bucket, and %d in the manifest", h.total, wrong)
				if _, err := d.service.Commit(d.ada, v.Artifact.ID); fault.Reason(err, "") != artifact.ReasonIncomplete || !strings.Contains(err.Error(), want) {
					t.Errorf("a manifest with %d bytes: %v", wrong, err)
				}
			}
			say(h.total)
			if a, err := d.service.Commit(d.ada, v.Artifact.ID); err != nil || a.Size != h.total {
				t.Errorf("committed with %d bytes: %v", a.Size, err)
			}
			h.readEnds(t, d, uploads[0].StoragePath)
		})
	}
}

// readEnds reads what each part ends with by the URL that the client gets.
func (h hoard) readEnds(t *testing.T, d *depot, key string) {
	t.Helper()
	address, err := d.objects.SignGet(t.Context(), key, blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range h.read {
		want, end := endOf(number), int64(number)*h.size
		if number == clientParts {
			end = h.total
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", end-int64(len(want)), end-1))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusPartialContent || string(got) != want {
			t.Errorf("part %d ends with %.40q, %s, %v", number, got, answer.Status, err)
		}
	}
}

// hoard is a store that gets a large file.
type hoard struct {
	cfg blob.Config
	// size is how much of each part is sent: the last has less. total is how large the store takes the file for.
	size, total int64
	// read are the parts of which the end is read.
	read []int
	send func(t *testing.T, d *depot, id store.ID, u artifact.Upload, f *large)
}

func inFolder(t testing.TB) hoard {
	return hoard{cfg: buckets.Folder(t), size: clientPart, total: largeSize, read: []int{1, 41, clientParts}, send: sendParts}
}

func inS3(t testing.TB) hoard {
	return hoard{cfg: buckets.S3(t), size: clientPart, total: largeSize, read: []int{1, 41, clientParts}, send: sendParts}
}

// inGCS sends parts of which only the ends are there, since fake-gcs-server holds in memory what it receives and joins
// (CreateObject of its backends copies into a buffer). Then it makes the object as large as it should be, where the store has
// it as a file: all other requests are those of 6 GiB.
func inGCS(t testing.TB) hoard {
	cfg, objects := buckets.GCSIn(t)
	seen := &sightings{}
	cfg.Endpoint = seen.before(t, cfg.Endpoint)
	h := hoard{cfg: cfg, size: clientBlock, total: largeSize, read: []int{clientParts}}
	h.send = func(t *testing.T, d *depot, id store.ID, u artifact.Upload, f *large) {
		sendParts(t, d, id, u, f)
		// 62 parts are joined in two rounds: 32 and 30, and these two.
		if want := []int{2, 30, composeLimit}; seen.puts != clientParts || !slices.Equal(slices.Sorted(slices.Values(seen.joined)), want) {
			t.Errorf("%d parts were put, and %v objects joined at once, want %v", seen.puts, seen.joined, want)
		}
		file, err := os.OpenFile(filepath.Join(objects, u.StoragePath), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		end := endOf(clientParts)
		if _, err := file.WriteAt([]byte(end), largeSize-int64(len(end))); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// sightings are requests to Google.
type sightings struct {
	mu     sync.Mutex
	puts   int
	joined []int
}

// before puts a proxy before a store, and returns its address.
func (s *sightings) before(t testing.TB, endpoint string) string {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		s.note(r.Out)
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL
}

func (s *sightings) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPut {
		s.puts++
	}
	if !strings.HasSuffix(r.URL.Path, "/compose") {
		return
	}
	text, _ := io.ReadAll(r.Body) // a body that is cut off has no sources
	r.Body = io.NopCloser(bytes.NewReader(text))
	var compose struct{ SourceObjects []struct{} }
	_ = json.Unmarshal(text, &compose)
	s.joined = append(s.joined, len(compose.SourceObjects))
}

// wholeOnAzure is a variable that makes the file on Azure as large as on other stores. Azurite works 23 s for a GiB: without it,
// parts have 1 MiB.
const wholeOnAzure = "SIX_GIBIBYTES_ON_AZURE"

// inAzure sends blocks as the client does, which takes Azure's own library for it. The room that their zeros take is given
// back.
func inAzure(t testing.TB) hoard {
	cfg, folder := buckets.AzureIn(t)
	h := hoard{cfg: cfg, size: clientBlock, read: []int{1, 41, clientParts}}
	if os.Getenv(wholeOnAzure) != "" {
		h.size = clientPart
	}
	h.total = newLarge(h.size).total()
	h.send = func(t *testing.T, _ *depot, _ store.ID, u artifact.Upload, f *large) {
		if u.UploadID != "" || len(u.Parts) > 0 || !slices.Contains(u.Headers, "x-ms-blob-type:BlockBlob") {
			t.Fatalf("a client that wants parts gets %d, and headers %q", len(u.Parts), u.Headers)
		}
		client, err := blockblob.NewClientWithNoCredential(u.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := base64.StdEncoding.DecodeString(f.digest())
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.UploadStream(t.Context(), &digging{Reader: f.whole(), folder: folder}, &blockblob.UploadStreamOptions{
			Concurrency: 4, BlockSize: clientBlock, HTTPHeaders: &azureblob.HTTPHeaders{BlobContentMD5: sum},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// digging keeps a store small while it is sent zeros.
type digging struct {
	io.Reader
	folder string
	read   int
}

func (d *digging) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if d.read += n; d.read > 2*clientPart {
		d.read = 0
		if err := buckets.Dig(d.folder); err != nil {
			return n, err
		}
	}
	return n, err
}

// sendParts does what the client does with URLs of parts.
func sendParts(t *testing.T, d *depot, id store.ID, u artifact.Upload, f *large) {
	t.Helper()
	if len(u.Parts) != clientParts || u.UploadID == "" {
		t.Fatalf("there are URLs for %d parts", len(u.Parts))
	}
	sent := make([]artifact.PartSpec, len(u.Parts))
	for i, part := range u.Parts {
		sent[i] = artifact.PartSpec{Number: part.Number, HexMD5: f.put(t, part)}
	}
	if _, err := d.service.CompleteUpload(d.ada, id, u.StoragePath, u.UploadID, sent); err != nil {
		t.Fatal(err)
	}
}

// large is a file of zeros, but that each part ends with its number.
type large struct {
	size int64 // of a part but the last
	sums [][]byte
}

func endOf(part int) string { return fmt.Sprintf("the end of part %05d", part) }

func newLarge(size int64) *large {
	f := &large{size: size}
	for _, length := range []int64{f.length(1), f.length(clientParts)} {
		zeroed := md5.New()
		_, _ = io.CopyN(zeroed, zeros{}, length-int64(len(endOf(1))))
		state, _ := zeroed.(encoding.BinaryMarshaler).MarshalBinary() // MD5 has one
		for number := len(f.sums) + 1; number <= clientParts && f.length(number) == length; number++ {
			sum := md5.New()
			_ = sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
			_, _ = io.WriteString(sum, endOf(number))
			f.sums = append(f.sums, sum.Sum(nil))
		}
	}
	return f
}

// length is that of a part.
func (f *large) length(part int) int64 {
	if part < clientParts {
		return f.size
	}
	return f.size * (largeSize - (clientParts-1)*clientPart) / clientPart
}

func (f *large) total() int64 { return (clientParts-1)*f.size + f.length(clientParts) }

func (f *large) body(part int) io.Reader {
	end := endOf(part)
	return io.MultiReader(io.LimitReader(zeros{}, f.length(part)-int64(len(end))), strings.NewReader(end))
}

func (f *large) whole() io.Reader {
	var parts []io.Reader
	for number := 1; number <= clientParts; number++ {
		parts = append(parts, f.body(number))
	}
	return io.MultiReader(parts...)
}

// digest is the MD5 of what is sent, or of something else where that is much: no store computes it then.
func (f *large) digest() string {
	if f.size == clientPart {
		return digestOf("6 GiB")
	}
	sum := md5.New()
	_, _ = io.Copy(sum, f.whole())
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

func (f *large) parts() []artifact.PartSpec {
	specs := make([]artifact.PartSpec, len(f.sums))
	for i, sum := range f.sums {
		specs[i] = artifact.PartSpec{Number: i + 1, HexMD5: fmt.Sprintf("%x", sum)}
	}
	return specs
}

// put sends a part, and returns the ETag that the store answers with.
func (f *large) put(t *testing.T, part artifact.UploadPart) (etag string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPut, part.URL, f.body(part.Number))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = f.length(part.Number)
	r.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(f.sums[part.Number-1]))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("part %d: %v", part.Number, err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode/100 != 2 {
		t.Fatalf("part %d: %s %s", part.Number, answer.Status, text)
	}
	return answer.Header.Get("ETag")
}

// zeros is as many bytes as anybody reads.
type zeros struct{}

// Read gives zeros.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
