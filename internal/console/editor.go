package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// textKey holds the text that an administrator wrote, beside the JSON that the operator reads: JSON has no comments.
	textKey = "yaml"
	// lastEditAnnotation on Secret `<cr>-spec-user` says who wrote it last: {"by":"Ada","method":"application","at":"…Z"}.
	lastEditAnnotation = "kubewandb.io/last-edit"
	fieldManager       = "kubewandb-console"

	// editBody bounds the request: the text of a layer, every character of which may be escaped.
	editBody = 4 * maxLayerText
)

// specAnswer is GET /spec.
type specAnswer struct {
	User     string   `json:"user"`
	Version  string   `json:"version"`
	Active   string   `json:"active"`
	Shadowed []shadow `json:"shadowed"`
}

func (s *Server) getSpec(w http.ResponseWriter, r *http.Request) {
	found, err := s.readSpec(r.Context())
	if err != nil {
		s.refuseError(w, r, err)
		return
	}
	answer(w, http.StatusOK, found)
}

func (s *Server) readSpec(ctx context.Context) (specAnswer, error) {
	active, err := s.activeText(ctx)
	if err != nil {
		return specAnswer{}, err
	}
	secret, err := s.userSecret(ctx)
	if err != nil {
		return specAnswer{}, err
	}
	text, err := layerText(secret.Data)
	if err != nil {
		return specAnswer{}, err
	}
	shadowed, err := s.shadowed(ctx, text)
	if err != nil {
		return specAnswer{}, err
	}
	return specAnswer{User: text, Version: secret.ResourceVersion, Active: active, Shadowed: shadowed}, nil
}

// activeText returns the specification that was applied last, with its credentials masked; "" before the first install.
func (s *Server) activeText(ctx context.Context) (string, error) {
	secret, err := s.secret(ctx, s.cfg.ReleaseName+"-spec-active")
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	active, err := spec.Decode("active", secret.Data)
	if err != nil { // no reason to keep anybody from editing the user layer
		return "# The active specification cannot be read: " + fault.Message(err) + "\n", nil
	}
	var text bytes.Buffer
	if chart := spec.Redact(active.Chart, nil); len(chart) > 0 {
		err = errors.Join(err, writeYAML(&text, spec.KeyChart, chart))
	}
	if len(active.Metadata) > 0 {
		err = errors.Join(err, writeYAML(&text, spec.KeyMetadata, active.Metadata))
	}
	if active.Values != nil {
		err = errors.Join(err, writeYAML(&text, spec.KeyValues, spec.Redact(active.Values, nil)))
	}
	return text.String(), err
}

func (s *Server) userSecret(ctx context.Context) (*corev1.Secret, error) {
	name := s.cfg.ReleaseName + "-spec-user"
	secret, err := s.secret(ctx, name)
	if apierrors.IsNotFound(err) {
		return nil, &fault.Error{
			Reason: "SecretMissing", Op: "find Secret " + name, Retry: true, Err: err,
			Hint: "The operator makes it as soon as it sees the custom resource: check that it runs.",
		}
	}
	return secret, err
}

func (s *Server) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, kubeDeadline)
	defer cancel()
	secret, err := s.cfg.Kube.CoreV1().Secrets(s.cfg.ReleaseNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return secret, nil
}

// shadowed compares a layer's text with the custom resource as it is now.
func (s *Server) shadowed(ctx context.Context, text string) ([]shadow, error) {
	layer, err := parseLayer(text)
	if err != nil {
		return []shadow{}, nil // a layer that cannot be read sets nothing
	}
	resource, err := s.state.resource(ctx)
	if err != nil {
		return nil, err
	}
	return shadows(layer, resource)
}

// errNoVersion is a version that no API server gave.
var errNoVersion = errors.New("not a resource version")

// edit is PUT /spec/user.
type edit struct {
	User string `json:"user"`
	// Version is the one that GET /spec gave with the text that was edited.
	Version string `json:"version"`
}

func (s *Server) putUserLayer(w http.ResponseWriter, r *http.Request) {
	wanted, layer, ok := readEdit(w, r)
	if !ok {
		s.metrics.edit("refused")
		return
	}
	version, err := s.writeLayer(r.Context(), layer, wanted)
	switch {
	case apierrors.IsConflict(err), errors.Is(err, errNoVersion):
		s.metrics.edit("conflict")
		s.refuseConflict(w, r)
	case err != nil:
		s.metrics.edit("error")
		s.refuseError(w, r, err)
	default:
		s.metrics.edit("saved")
		who := signedIn(r.Context())
		s.cfg.Log.InfoContext(r.Context(), "user layer changed", "user", who.Name, "method", who.Method, "version", version)
		s.answerSaved(w, r, wanted.User, version)
	}
}

// readEdit reads and checks an edit. It answers the request itself where something is wrong.
func readEdit(w http.ResponseWriter, r *http.Request) (edit, spec.Layer, bool) {
	var wanted edit
	if !readJSON(w, r, editBody, &wanted) {
		return edit{}, spec.Layer{}, false
	}
	layer, err := parseLayer(wanted.User)
	var wrong *layerError
	if errors.As(err, &wrong) {
		refuse(w, problem{
			status: http.StatusUnprocessableEntity, Field: "user",
			Message: wrong.Message, Hint: wrong.Hint, Line: wrong.Line, Path: wrong.Path,
		})
		return edit{}, spec.Layer{}, false
	}
	if wanted.Version == "" { // without it the API server would overwrite whatever is there
		refuse(w, problem{
			status: http.StatusUnprocessableEntity, Field: "version",
			Message: "The request does not say which version was edited.", Hint: "Send the version that GET /console/api/spec gave.",
		})
		return edit{}, spec.Layer{}, false
	}
	return wanted, layer, true
}

// writeLayer stores a layer if nobody else has changed it since wanted.Version, and returns the new version. The text, its
// values and who wrote them change in one step.
func (s *Server) writeLayer(ctx context.Context, layer spec.Layer, wanted edit) (string, error) {
	if _, err := strconv.ParseUint(wanted.Version, 10, 64); err != nil { // which the API server would call a fault of its own
		return "", errNoVersion
	}
	data, err := spec.Encode(layer)
	if err != nil {
		return "", err
	}
	secret, err := s.userSecret(ctx)
	if err != nil {
		return "", err
	}
	mark, err := s.editMark(signedIn(ctx))
	if err != nil {
		return "", err
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.ResourceVersion = wanted.Version // the API server refuses the update where this is not the newest
	secret.Data[spec.KeyValues], secret.Data[spec.KeyChart] = data[spec.KeyValues], data[spec.KeyChart]
	secret.Data[textKey] = []byte(wanted.User)
	secret.Annotations[lastEditAnnotation] = mark
	ctx, cancel := context.WithTimeout(ctx, kubeDeadline)
	defer cancel()
	stored, err := s.cfg.Kube.CoreV1().Secrets(secret.Namespace).Update(ctx, secret, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return "", fmt.Errorf("write Secret %s: %w", secret.Name, err)
	}
	return stored.ResourceVersion, nil
}

func (s *Server) editMark(who user) (string, error) {
	mark, err := json.Marshal(struct {
		By     string `json:"by"`
		Method string `json:"method"`
		At     string `json:"at"`
	}{who.Name, who.Method, s.cfg.now().UTC().Format(time.RFC3339)})
	if err != nil {
		return "", fmt.Errorf("encode who edited: %w", err)
	}
	return string(mark), nil
}

func (s *Server) answerSaved(w http.ResponseWriter, r *http.Request, text, version string) {
	shadowed, err := s.shadowed(r.Context(), text)
	if err != nil {
		// It is saved, and saying otherwise would make somebody save it again.
		s.cfg.Log.WarnContext(r.Context(), "compare with custom resource failed", "error", err)
		shadowed = []shadow{}
	}
	answer(w, http.StatusOK, struct {
		Version  string   `json:"version"`
		Shadowed []shadow `json:"shadowed"`
	}{version, shadowed})
}

// refuseConflict says who was faster, where that is known.
func (s *Server) refuseConflict(w http.ResponseWriter, r *http.Request) {
	p := problem{
		status: http.StatusConflict, Message: "Somebody else has changed these settings since you opened them.",
		Hint: "Copy your text, reload the page, and make your change again.",
	}
	var mark struct{ By, At string }
	if secret, err := s.userSecret(r.Context()); err == nil && json.Unmarshal([]byte(secret.Annotations[lastEditAnnotation]), &mark) == nil && mark.By != "" {
		p.Message = fmt.Sprintf("%s changed these settings at %s, after you had opened them.", mark.By, mark.At)
	}
	refuse(w, p)
}
