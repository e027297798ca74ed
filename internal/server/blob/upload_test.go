package blob_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/blob"
	"github.com/kubewandb/kubewandb/test/buckets"
)

// leastPart is the smallest part that every store takes but as the last one.
const leastPart = 5 << 20

func TestUploadsInParts(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		const key = "artifacts/3/large file.bin"
		id := must(b.StartUpload(t.Context(), key, blob.PutOptions{ContentType: "model/x"}))(t)
		bodies := [][]byte{bytes.Repeat([]byte("a"), leastPart), bytes.Repeat([]byte("b"), leastPart), []byte("the end")}
		parts := make([]blob.Part, len(bodies))
		for _, i := range []int{2, 0, 1, 1} { // in any order, and again
			sum := md5.Sum(bodies[i])
			parts[i] = blob.Part{Number: i + 1, MD5: sum[:]}
			signed := must(b.SignPart(t.Context(), key, id, i+1, blob.PutOptions{}))(t)
			status, header, answer := fetch(t, http.MethodPut, signed.URL, send(signed.Headers, nil), bytes.NewReader(bodies[i]))
			if status/100 != 2 {
				t.Fatalf("part %d: %d %s", i+1, status, answer)
			}
			if cfg.URL == "" && header.Get("ETag") != fmt.Sprintf("%q", fmt.Sprintf("%x", sum)) {
				t.Errorf("part %d: ETag %s", i+1, header.Get("ETag"))
			}
		}
		for sentence, wrong := range map[string][]blob.Part{
			"a part that was not uploaded": append(parts[:3:3], blob.Part{Number: 4}), "a gap": {parts[0], parts[2]}, "no parts": nil,
		} {
			if err := b.CompleteUpload(t.Context(), key, id, wrong); fault.Reason(err, "") != blob.ReasonMismatch {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if !strings.HasPrefix(cfg.URL.Reveal(), "az:") { // Azure keeps no MD5 of a block
			changed := []blob.Part{parts[0], {Number: 2, MD5: parts[0].MD5}, parts[2]}
			if err := b.CompleteUpload(t.Context(), key, id, changed); fault.Reason(err, "") != blob.ReasonMismatch {
				t.Errorf("another MD5: %v", err)
			}
		}
		if _, err := b.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("before it is complete: %v", err)
		}
		if err := b.CompleteUpload(t.Context(), key, id, parts); err != nil {
			t.Fatalf("complete: %v", err)
		}
		if !bytes.Equal(read(t, b, key, 0, -1), bytes.Join(bodies, nil)) {
			t.Error("the object is not the parts in their order")
		}
		if object, err := b.Stat(t.Context(), key); err != nil || object.Size != 2*leastPart+7 || object.ContentType != "model/x" {
			t.Errorf("stat %+v, %v", object, err)
		}
		if err := b.CompleteUpload(t.Context(), key, id, parts); !errors.Is(err, blob.ErrNotFound) && !strings.HasPrefix(cfg.URL.Reveal(), "s3:") {
			t.Errorf("complete again: %v", err) // S3 may repeat its answer
		}
	})
}

func TestUploadsThatEndOtherwise(t *testing.T) {
	buckets.Each(t, func(t *testing.T, cfg blob.Config) {
		b := buckets.Open(t, cfg)
		id := must(b.StartUpload(t.Context(), "a/x", blob.PutOptions{}))(t)
		signed := must(b.SignPart(t.Context(), "a/x", id, 1, blob.PutOptions{}))(t)
		if status, _, _ := fetch(t, http.MethodPut, signed.URL, nil, strings.NewReader("part")); status/100 != 2 {
			t.Fatalf("a part: %d", status)
		}
		for range 2 {
			if err := b.AbortUpload(t.Context(), "a/x", id); err != nil {
				t.Errorf("abort: %v", err)
			}
		}
		if !strings.HasPrefix(cfg.URL.Reveal(), "az:") { // Azure drops blocks by itself, a week later
			if err := b.CompleteUpload(t.Context(), "a/x", id, []blob.Part{{Number: 1}}); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("complete after abort: %v", err)
			}
		}
		if left := keys(t, b, ""); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
		for sentence, id := range map[string]string{"an id of nothing": strings.Repeat("A", 26), "an id that climbs": "../../../../../etc"} {
			if err := b.CompleteUpload(t.Context(), "a/x", id, []blob.Part{{Number: 1}}); err == nil {
				t.Errorf("%s: completed", sentence)
			}
		}
		if _, err := b.SignPart(t.Context(), "a/x", id, 0, blob.PutOptions{}); fault.Reason(err, "") != blob.ReasonKeyInvalid {
			t.Errorf("part 0: %v", err)
		}
	})
}
