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
		{"--unread-mb", func(c *Config) { c.UnreadMB = maxUnreadMB + 1 }},
		{"--max-connections", func(c *Config) { c.MaxConnections = 0 }},
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
