package main

import (
	"encoding/json"
	"testing"

	"tandem/shard"
)

// READY and STATUS say of each check whether it holds, as the gateway's /readyz does.
func TestEachCheckSaysWhetherItHolds(t *testing.T) {
	got, err := json.Marshal(readiness{"db-0", false, checkResults([]shard.Check{{Name: "data"},
		{Name: "disk", Reason: "it is full"}})})
	want := `{"node":"db-0","ready":false,"checks":[{"name":"data","ok":true},` +
		`{"name":"disk","ok":false,"reason":"it is full"}]}`
	if err != nil || string(got) != want {
		t.Errorf("found %s, %v; expected %s", got, err, want)
	}
}
