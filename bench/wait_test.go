package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// A node whose disk does not let it start goes on trying, in one process, and serves when the disk is well; told to stop meanwhile it stops.
func TestAStartWaitsForItsDisk(t *testing.T) {
	plan := planTest(t, 3)
	wraps, err := shims(plan)
	if err != nil {
		t.Fatal(err)
	}
	plan.Wraps = wraps
	processes, err := startCluster(plan)
	c := adopt(t, plan, processes, err)
	control := controlOf(plan, plan.Names[0])
	for i, r := range []rule{
		{Ops: opsRead, Files: filesLog, Action: actFail, Error: syscall.EIO},
		{Ops: opsRead, Files: filesManifest | filesCurrent, Action: actFail, Error: syscall.EIO},
		{Ops: opsWrite, Files: filesTable, Action: actFail, Error: syscall.EIO},
		{Ops: opsSync, Files: filesAll, Action: actFail, Error: syscall.EIO},
		{Ops: opsWrite | opsAllocate, Files: filesAll, Action: actFail, Error: syscall.ENOSPC},
	} {
		if reply, err := c.ask("POST", "/api/user/", userJSON(user{fmt.Sprint("u", i), "n", "e", 1})); err != nil || reply.status != 201 {
			t.Fatalf("%v %v", reply, err)
		}
		c.kill(0)
		state, err := readShim(control)
		if err == nil {
			err = setRule(control, r)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.relaunch(0)
		end := time.Now().Add(patience)
		for began := state.Loads; state.Loads < began+3; time.Sleep(10 * time.Millisecond) { // each start loads the shim
			if state, err = readShim(control); err != nil {
				t.Fatal(err)
			}
			select {
			case <-c.processes[0].gone:
				t.Fatalf("%s: it ended: %s", ruleText(r), describeEnd(c.processes[0]))
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("%s: it does not try again", ruleText(r))
			}
		}
		if r.Error == syscall.ENOSPC {
			break
		}
		if err = setRule(control, rule{}); err != nil {
			t.Fatal(err)
		}
		c.await(0)
		c.settle()
	}
	if err = c.processes[0].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.processes[0].gone:
	case <-time.After(patience):
		t.Fatal("it waits for its disk although it was told to stop")
	}
}
