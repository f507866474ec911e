package main

import (
	"net/http"
	"os"
	"syscall"
	"time"
)

const (
	probeEvery = 20 * time.Millisecond
	probeSize  = 4096                   // bytes of a probe's write
	probeAfter = 250 * time.Millisecond // after a stall of the disk, in which its consequences still count as its own
)

// probe says how a disk is probed: in which folder, and what a write may take; times count from Begin.
type probe struct {
	Dir   string
	Most  time.Duration
	Begin time.Time
}

// probeDisk writes to a file in a folder, synced, again and again, and reports each write that takes longer than it
// may: for so long the disk stood still for everybody, and not only for one node.
func probeDisk(p probe, syncs chan<- stall, quit <-chan struct{}, ended chan<- error) {
	file, err := os.CreateTemp(p.Dir, "probe-")
	if err != nil {
		ended <- err
		return
	}
	defer file.Close()
	err = os.Remove(file.Name()) // it goes with this process, however that ends
	block := make([]byte, probeSize)
	for err == nil {
		select {
		case <-quit:
			ended <- nil
			return
		case <-time.After(probeEvery):
		}
		from := time.Now()
		if _, err = file.WriteAt(block, 0); err == nil {
			err = syscall.Fdatasync(int(file.Fd()))
		}
		if to := time.Now(); to.Sub(from) > p.Most {
			select {
			case syncs <- stall{from.Sub(p.Begin), to.Sub(p.Begin)}:
			case <-quit:
			}
		}
	}
	<-quit
	ended <- err
}

// struck tells whether a request that was late or got 503 was under way while the disk stood still, or soon after.
func struck(syncs []stall, s sample) bool {
	if s.Failed && !s.Timeout && s.Status != http.StatusServiceUnavailable {
		return false
	}
	for _, one := range syncs {
		if s.Intended < one.To+probeAfter && s.Done > one.From {
			return true
		}
	}
	return false
}
