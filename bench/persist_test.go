package main

import (
	"net/http"
	"slices"
	"testing"
)

// A load is there to make users: one whose create failed is created again, and may turn out to have been created at the
// first try.
func TestLoadIsTriedAgain(t *testing.T) {
	creates := 0
	store := &fakeStore{spoil: func(_ *fakeStore, _ int, r *http.Request) string {
		if r.Method == "POST" {
			creates++
		}
		if r.Method != "POST" || creates > 60 {
			return ""
		}
		return []string{"503", "503 done"}[creates%2]
	}}
	r := against(t, store, nil)
	load := r.Operations[slices.IndexFunc(r.Operations, func(o operationReport) bool {
		return o.Phase == phaseLoad &&
			o.Kind == opCreate
	})]
	if r.Verdict.Code != exitPass || load.Requests != 160 || load.Failed != 60 || load.Outcomes["status 409"] != 30 {
		t.Errorf("expected that 60 of 160 creates failed and 30 users were there at the second try, found %+v, %+v",
			load, r.Verdict)
	}
}
