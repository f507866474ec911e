package peer

import (
	"reflect"
	"testing"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// TestAGreetingComesBack: all that is said is heard, of each element by itself.
func TestAGreetingComesBack(t *testing.T) {
	said := shard.Greeting{Least: 1, Most: 2, Cluster: "c", Role: shard.RoleNode, Name: "n", Build: "b",
		Incarnation: [16]byte{3}, Ring: 4, Shards: 5, Lease: 6, Grace: 7, Member: 8, Start: 9, Nonce: 10,
		Founders: []uint64{11}, Names: []string{"n"}, Replaced: []uint64{12}}
	v := reflect.ValueOf(said)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tested", v.Type().Field(i).Name)
		}
	}
	heard := Hear(&wire.Message{Greeting: Say(said), Founders: said.Founders})
	said.Names, said.Replaced = nil, nil // are not said
	if !reflect.DeepEqual(heard, said) {
		t.Errorf("said %+v, heard %+v", said, heard)
	}
}

// TestTheFirstGreeting has what the settings name, and nothing that is not known yet.
func TestTheFirstGreeting(t *testing.T) {
	got := FirstGreeting(shard.RoleGateway, "c", "n", []proc.Member{{Name: "b", Address: "x:1"}, {Name: "a"}}, 24)
	want := shard.Greeting{Least: wire.Least, Most: wire.Most, Cluster: "c", Role: shard.RoleGateway, Name: "n",
		Names: []string{"b", "a"}, Shards: 24}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestEachMisfitHasACode of its own, which stands for it.
func TestEachMisfitHasACode(t *testing.T) {
	all := map[shard.Misfit]wire.Code{shard.OtherVersion: wire.WrongVersion, shard.OtherCluster: wire.WrongCluster,
		shard.OtherIncarnation: wire.WrongIncarnation, shard.OtherRing: wire.WrongRing,
		shard.OtherShards: wire.WrongShards, shard.OtherLease: wire.WrongLease, shard.OtherName: wire.WrongName,
		shard.OtherStore: wire.WrongStore}
	for misfit, code := range all {
		if got := CodeOf(misfit); got != code || misfits[got] != misfit {
			t.Errorf("%s: code %d, which stands for %q", misfit, got, misfits[got])
		}
	}
	if len(misfits) != len(all) {
		t.Errorf("%d codes for %d misfits", len(misfits), len(all))
	}
	if CodeOf("") != wire.BadRequest {
		t.Errorf("no misfit: %d", CodeOf(""))
	}
}
