package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Settings that cannot be are refused by their names; those just within the limits are not.
func TestSettingsAreChecked(t *testing.T) {
	configs, _ := configsOf(t)
	for _, c := range []struct {
		name   string
		change func(*config)
	}{
		{"", func(*config) {}},
		{"", func(c *config) { c.Grace = maxGrace }},
		{"--grace", func(c *config) { c.Grace = maxGrace + 1 }},
		{"--grace", func(c *config) { c.Grace = c.Lease }},
		{"--unread-mb", func(c *config) { c.UnreadMB = maxMB + 1 }},
		{"--max-connections", func(c *config) { c.MaxConnections = 0 }},
		{"", func(c *config) { c.Pace, c.LeaveFor, c.WalKeepMB = c.SlowDisk/2, 0, 0 }},
		{"--pace", func(c *config) { c.Pace = time.Hour }},
		{"--pace", func(c *config) { c.Pace = -1 }},
		{"--leave-for", func(c *config) { c.LeaveFor = -1 }},
		{"--silent", func(c *config) { c.Silent = time.Hour }},
		{"--slow-disk", func(c *config) { c.SlowDisk = time.Hour }},
		{"--loops", func(c *config) { c.Loops = -5 }},
		{"--loops", func(c *config) { c.Loops = 100_000 }},
		{"--cache-mb", func(c *config) { c.CacheMB = 0 }},
		{"--cache-mb", func(c *config) { c.CacheMB = 1<<64 - 1 }},
		{"--wal-keep-mb", func(c *config) { c.WalKeepMB = 1<<64 - 1 }},
		{"--repair-mb", func(c *config) { c.RepairMB = 1<<64 - 1 }},
		{"--cluster", func(c *config) { c.Cluster = "" }},
		{"--cluster", func(c *config) { c.Cluster = "a\nb" }},
		{"--nodes", func(c *config) { c.Nodes = "db-0=h:0,db-1=h:2,db-2=h:3" }},
		{"--nodes", func(c *config) { c.Nodes = "db-0=h:99999,db-1=h:2,db-2=h:3" }},
		{"--nodes", func(c *config) { c.Nodes = "db 0=h:1,db-1=h:2,db-2=h:3" }},
		{"--name", func(c *config) { c.Name = "db-9" }},
		{"--nodes", func(c *config) { c.Nodes = "db-0" }},
	} {
		changed := configs[0]
		c.change(&changed)
		_, _, err := check(changed)
		names := errors.Is(err, errConfig) && strings.Contains(err.Error(), c.name)
		if c.name == "" && err != nil || c.name != "" && !names {
			t.Errorf("%q with a grace of %v: %v", c.name, time.Duration(changed.Grace), err)
		}
	}
}
