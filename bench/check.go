package main

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	"tandem/bench/cluster"
	"tandem/shard"
)

// The limits of settings. A value beyond them is a typing error.
const (
	mostUsers    = 1_000_000_000
	mostNameSize = 15_000 // bytes: what a user has beside its name leaves so much of a body of 16 KiB
	longestRun   = 30 * 24 * time.Hour
	longestWait  = 24 * time.Hour
	mostFaults   = 100_000
)

// checkWithin refuses a number that is not within its limits.
func checkWithin(flag string, n, least, most float64) error {
	if n >= least && n <= most {
		return nil
	}
	return fmt.Errorf("%w: %s: expected a number from %.0f to %.0f, found %v", errSettings, flag, least, most, n)
}

// checkTime refuses a time that is not within its limits.
func checkTime(flag string, d, least, most time.Duration) error {
	if d >= least && d <= most {
		return nil
	}
	return fmt.Errorf("%w: %s: expected a time from %v to %v, found %v", errSettings, flag, least, most, d)
}

// firstOf returns the first error, nil if there is none.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkLoad tells what is wrong with the settings of a load.
func checkLoad(f LoadFlags) error {
	const tick = time.Nanosecond
	err := firstOf(
		checkWithin("--records", float64(f.Records), 1, mostUsers),
		checkWithin("--size", float64(f.Size), 0, mostNameSize),
		checkTime("--timeout", f.Timeout, tick, longestWait),
		checkTime("--budget", f.Budget, tick, longestWait),
		checkTime("--most-stall", f.MostStall, 0, longestWait),
		checkTime("--most-sync", f.MostSync, tick, longestWait),
		checkTime("--settle", f.Settle, 0, longestWait),
		checkTime("--check-timeout", f.CheckTimeout, tick, longestWait))
	if err == nil && f.Budget > f.Timeout {
		err = fmt.Errorf("%w: --budget %v: expected at most --timeout, which is %v: "+
			"an answer that is given up keeps no budget", errSettings, f.Budget, f.Timeout)
	}
	return err
}

// checkChaos tells what is wrong with the settings of a chaos run.
func checkChaos(c chaosCommand) error {
	err := firstOf(
		checkWithin("--each", float64(c.Each), 1, mostFaults),
		checkWithin("--round", float64(c.Round), 1, mostFaults),
		checkTime("--in-sync", c.InSync, time.Nanosecond, longestWait))
	switch {
	case err != nil:
		return err
	case !(c.Rate > 0 && c.Rate <= kneeMost):
		return fmt.Errorf("%w: --rate: expected a number up to %.0f, found %v", errSettings, kneeMost, c.Rate)
	case len(c.Kinds) == 0:
		return fmt.Errorf("%w: --kinds: expected kinds of fault separated by commas, found none", errSettings)
	}
	return nil
}

// checkTogether tells which flags of a run do not go together.
func checkTogether(c runCommand) error {
	for _, pair := range []struct {
		both bool
		what string
	}{
		{c.Cluster && c.Target != "", "--cluster and --target: the run is against one of the two"},
		{c.Cluster && len(c.FaultCommand) > 0,
			"--cluster and --fault-command: bench itself does the faults of its own cluster"},
		{c.Cluster && len(c.FaultNodes) > 0, "--cluster and --fault-nodes: the nodes of the own cluster are known"},
		{c.Cluster && c.Phases == phaseRun,
			"--cluster and --phases run: there are no users in a cluster that was just started"},
		{c.Cluster && c.Shared, "--cluster and --shared: nobody else knows the own cluster"},
		{!c.Cluster && c.Nodes != 0, "--nodes without --cluster"},
		{!c.Cluster && c.Bin != "", "--bin without --cluster"},
		{c.Phases == phaseLoad && c.Fault != "", "--fault and --phases load: faults happen in the run phase"},
		{len(c.FaultCommand) > 0 && c.Fault == "", "--fault-command without --fault"},
	} {
		if pair.both {
			return fmt.Errorf("%w: they do not go together: %s", errSettings, pair.what)
		}
	}
	kinds := []string{cluster.FaultKill, cluster.FaultTerm, cluster.FaultStart, cluster.FaultPause,
		cluster.FaultResume, cluster.FaultCut, cluster.FaultRefuse, cluster.FaultHeal}
	for kind := range c.FaultCommand {
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("%w: --fault-command: expected one of %v before '=', found %q", errSettings, kinds, kind)
		}
	}
	return nil
}

// checkCluster tells what is wrong with the sizes of a cluster.
func checkCluster(flag string, nodes, shards int) error {
	if err := shard.CheckLayout(shard.Layout{Nodes: nodes, Shards: shards}); err != nil {
		return fmt.Errorf("%w: %s %d: %w", cluster.ErrPlan, flag, nodes, err)
	}
	return nil
}

// checkAddress refuses an address at which nobody can listen and be found again.
func checkAddress(flag, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
		return fmt.Errorf("%w: %s: expected host:port with a port from 1 to %d, found %q",
			errSettings, flag, math.MaxUint16, addr)
	}
	return nil
}
