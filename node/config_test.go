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
		change func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Grace = maxGrace }},
		{"--grace", func(c *Config) { c.Grace = maxGrace + 1 }},
		{"--grace", func(c *Config) { c.Grace = c.Lease }},
		{"--unread-mb", func(c *Config) { c.UnreadMB = maxMB + 1 }},
		{"--max-connections", func(c *Config) { c.MaxConnections = 0 }},
		{"", func(c *Config) { c.Pace, c.LeaveFor, c.WalKeepMB = c.SlowDisk/2, 0, 0 }},
		{"--pace", func(c *Config) { c.Pace = time.Hour }},
		{"--pace", func(c *Config) { c.Pace = -1 }},
		{"--leave-for", func(c *Config) { c.LeaveFor = -1 }},
		{"--silent", func(c *Config) { c.Silent = time.Hour }},
		{"--slow-disk", func(c *Config) { c.SlowDisk = time.Hour }},
		{"--loops", func(c *Config) { c.Loops = -5 }},
		{"--loops", func(c *Config) { c.Loops = 100_000 }},
		{"--cache-mb", func(c *Config) { c.CacheMB = 0 }},
		{"--cache-mb", func(c *Config) { c.CacheMB = 1<<64 - 1 }},
		{"--wal-keep-mb", func(c *Config) { c.WalKeepMB = 1<<64 - 1 }},
		{"--repair-mb", func(c *Config) { c.RepairMB = 1<<64 - 1 }},
		{"--cluster", func(c *Config) { c.Cluster = "" }},
		{"--cluster", func(c *Config) { c.Cluster = "a\nb" }},
		{"--nodes", func(c *Config) { c.Nodes = "db-0=h:0,db-1=h:2,db-2=h:3" }},
		{"--nodes", func(c *Config) { c.Nodes = "db-0=h:99999,db-1=h:2,db-2=h:3" }},
		{"--nodes", func(c *Config) { c.Nodes = "db 0=h:1,db-1=h:2,db-2=h:3" }},
		{"--name", func(c *Config) { c.Name = "db-9" }},
		{"--nodes", func(c *Config) { c.Nodes = "db-0" }},
	} {
		changed := configs[0]
		c.change(&changed)
		_, _, err := check(changed)
		names := errors.Is(err, ErrConfig) && strings.Contains(err.Error(), c.name)
		if c.name == "" && err != nil || c.name != "" && !names {
			t.Errorf("%q with a grace of %v: %v", c.name, time.Duration(changed.Grace), err)
		}
	}
}
