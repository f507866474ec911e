package main

import "testing"

// TestRepairsAreSummedUp: the shards of a backup are one repair, which remembers when it began and how much it was.
func TestRepairsAreSummedUp(t *testing.T) {
	first := sumUp(nil, []repairLine{{Shard: 1, Backup: "db-1", ToGo: 600, Rate: 50}, {Shard: 2, Backup: "db-2", ToGo: 7},
		{Shard: 3, Backup: "db-1", ToGo: 400, Rate: 50}}, 1000)
	if r := first["db-1"]; len(first) != 2 || r != (repairing{Looks: 1, Since: 1000, Shards: 2, ToGo: 1000, Most: 1000,
		Rate: 100, Left: 10}) {
		t.Errorf("%+v", first)
	}
	second := sumUp(first, []repairLine{{Shard: 3, Backup: "db-1", ToGo: 100, Rate: 50}}, 2000)
	if r := second["db-1"]; len(second) != 1 || r != (repairing{Looks: 2, Since: 1000, Shards: 1, ToGo: 100, Most: 1000,
		Rate: 50, Left: 2}) {
		t.Errorf("%+v", second)
	}
}
