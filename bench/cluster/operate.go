package cluster

import (
	"fmt"
	"slices"
	"syscall"
	"time"
)

// Perform does one step to a cluster and says when it is done.
type Perform func(s Step) error

// Order is a step that the goroutine of operate is to do.
type Order struct {
	Step Step
	Done chan error
}

// operate owns the processes of a cluster that bench has started, and carries out orders. When the orders end it
// resumes all processes, opens all links and gives the processes back.
func operate(p Plan, processes []Process, links []link, orders <-chan Order, back chan<- []Process) {
	names := append(slices.Clone(p.Names), "gateway")
	addrs := append(slices.Clone(p.Addrs), p.HTTP)
	argvs, cuts, ended := Commands(p), []Step{}, make([]bool, len(names)) // ended: by an order
	for o := range orders {
		at := slices.Index(names, o.Step.Node)
		if at < 0 && o.Step.Kind != FaultHeal && o.Step.Kind != FaultLook {
			o.Done <- fmt.Errorf("%w: nothing is called %q (there are %v)", ErrFault, o.Step.Node, names)
			continue
		}
		switch o.Step.Kind {
		case FaultCut, FaultRefuse, FaultHeal:
			if cuts = append(cuts, o.Step); o.Step.Kind == FaultHeal {
				cuts = nil
			}
			for _, l := range links {
				setLink(l, gatesOf(l, cuts))
			}
			var err error
			if len(links) == 0 {
				err = fmt.Errorf("%w: only a cluster whose connections go through bench can be cut", ErrFault)
			}
			o.Done <- err
		case FaultLook:
			o.Done <- strangeEnd(processes, ended)
		case FaultStart, FaultLaunch, FaultRevive:
			child, err := bringUp(p.Dir, processes[at], argvs[at], o.Step)
			processes[at], ended[at] = child, err != nil && ended[at]
			switch {
			case err != nil || o.Step.Kind == FaultLaunch:
				o.Done <- err
			case at < p.Nodes:
				go AwaitNode(child, addrs[at], o.Done)
			default:
				go AwaitGateway(child, addrs[at], o.Done)
			}
		default:
			ended[at] = ended[at] || o.Step.Kind == FaultKill || o.Step.Kind == FaultTerm
			go signalProcess(processes[at], o.Step.Kind, o.Done)
		}
	}
	for _, child := range processes {
		_ = child.Cmd.Process.Signal(syscall.SIGCONT) // it may be gone
	}
	for _, l := range links {
		setLink(l, openGates)
	}
	back <- processes
}

// bringUp starts a process that has ended. If it still runs, that is an error, but not for a revival.
func bringUp(dir string, old Process, argv []string, s Step) (Process, error) {
	select {
	case <-old.Gone:
		child, err := Launch(dir, old.Name, argv)
		if err != nil {
			return old, err
		}
		return child, nil
	default:
	}
	if s.Kind == FaultRevive {
		return old, nil
	}
	return old, fmt.Errorf("%w: %s runs already", ErrFault, s.Node)
}

// strangeEnd returns an error if a process has ended without an order.
func strangeEnd(processes []Process, ended []bool) error {
	for at, p := range processes {
		select {
		case <-p.Gone:
			if !ended[at] {
				return fmt.Errorf("%w: died by itself: %s", ErrProcess, DescribeEnd(p))
			}
		default:
		}
	}
	return nil
}

// signs are the signals of the kinds of fault. The table never changes.
var signs = map[string]syscall.Signal{FaultKill: syscall.SIGKILL, FaultTerm: syscall.SIGTERM,
	FaultPause: syscall.SIGSTOP, FaultResume: syscall.SIGCONT}

// signalProcess sends a process a signal, and waits for its end if the signal is to end it.
func signalProcess(p Process, kind string, done chan<- error) {
	err := p.Cmd.Process.Signal(signs[kind])
	if err != nil {
		done <- fmt.Errorf("%w: %s %s: %w", ErrFault, kind, p.Name, err)
		return
	}
	if kind == FaultKill || kind == FaultTerm {
		select {
		case <-p.Gone:
		case <-time.After(StopGrace):
			err = fmt.Errorf("%w: %s does not end within %v after %s", ErrFault, p.Name, StopGrace, kind)
			_ = p.Cmd.Process.Kill()
		}
	}
	done <- err
}

// PerformBy does steps by orders to the operator of a cluster.
func PerformBy(orders chan<- Order) Perform {
	return func(s Step) error {
		o := Order{s, make(chan error, 1)}
		orders <- o
		return <-o.Done
	}
}
