package v1

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObjectsSurviveEveryDigitAndNull(t *testing.T) {
	const text = `{"kmsKey":null,"big":9007199254740993,"size":67108864,"ratio":1.50,"nested":{"list":[1,null,"x"]}}`
	var spec WeightsAndBiasesSpec
	if err := json.Unmarshal([]byte(`{"values":`+text+`}`), &spec); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(spec.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(written), `{"values":`+text+`}`; got != want {
		t.Errorf("written as %s, want %s: an absent chart stays absent, and numbers keep their digits", got, want)
	}
	content, err := spec.Values.Map()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"kmsKey": nil, "big": int64(9007199254740993), "size": int64(67108864), "ratio": 1.5,
		"nested": map[string]any{"list": []any{int64(1), nil, "x"}},
	}
	if diff := cmp.Diff(want, content); diff != "" {
		t.Errorf("Map() (-want +got):\n%s", diff)
	}
	again, err := ObjectOf(content)
	if err != nil {
		t.Fatal(err)
	}
	back, err := again.Map()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, back); diff != "" {
		t.Errorf("ObjectOf(Map()) (-want +got):\n%s", diff)
	}
}

func TestAbsentObjects(t *testing.T) {
	for name, object := range map[string]Object{"zero": {}, "null": {Raw: []byte("null")}} {
		if content, err := object.Map(); content != nil || err != nil || !object.IsZero() {
			t.Errorf("%s: Map() = %v, %v; IsZero() = %v", name, content, err, object.IsZero())
		}
	}
	empty, err := ObjectOf(map[string]any{})
	if err != nil || empty.IsZero() {
		t.Errorf("{} is present: %v, %v", empty.IsZero(), err)
	}
	if _, err := ObjectOf(map[string]any{"a": math.NaN()}); err == nil {
		t.Error("NaN is no JSON")
	}
	if _, err := (Object{Raw: []byte(`"text"`)}).Map(); err == nil {
		t.Error("a text is no object")
	}
}

func TestDeepCopySharesNothing(t *testing.T) {
	original := WeightsAndBiases{Spec: WeightsAndBiasesSpec{Values: Object{Raw: []byte(`{"a":1}`)}, Unset: []string{"x"}}}
	copied := original.DeepCopy()
	copied.Spec.Values.Raw[2], copied.Spec.Unset[0] = 'z', "y"
	if string(original.Spec.Values.Raw) != `{"a":1}` || original.Spec.Unset[0] != "x" {
		t.Errorf("the original became %s, %v", original.Spec.Values.Raw, original.Spec.Unset)
	}
}
