package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// perform does one step to a cluster and says when it is done.
type perform func(s step) error

// order is a step that a cluster's operator is to do.
type order struct {
	Step step
	Done chan error
}

// operate owns the processes of a cluster that bench has started, and does to them what is ordered; when the orders end
// it lets all go on, opens all lanes and gives the processes back.
func operate(p clusterPlan, processes []process, lanes []lane, orders <-chan order, back chan<- []process) {
	names := append(slices.Clone(p.Names), "gateway")
	addrs := append(slices.Clone(p.Addrs), p.HTTP)
	argvs, cuts, ended := commands(p), []step{}, make([]bool, len(names)) // ended: by an order
	for o := range orders {
		at := slices.Index(names, o.Step.Node)
		if at < 0 && o.Step.Kind != faultHeal && o.Step.Kind != faultLook {
			o.Done <- fmt.Errorf("%w: nothing is called %q (there are %v)", errFault, o.Step.Node, names)
			continue
		}
		switch o.Step.Kind {
		case faultCut, faultRefuse, faultHeal:
			if cuts = append(cuts, o.Step); o.Step.Kind == faultHeal {
				cuts = nil
			}
			for _, l := range lanes {
				setLane(l, gatesOf(l, cuts))
			}
			var err error
			if len(lanes) == 0 {
				err = fmt.Errorf("%w: only a cluster whose connections go through bench can be cut", errFault)
			}
			o.Done <- err
		case faultLook:
			o.Done <- strangeEnd(processes, ended)
		case faultStart, faultLaunch, faultRevive:
			child, err := bringUp(p.Dir, processes[at], argvs[at], o.Step)
			processes[at], ended[at] = child, err != nil && ended[at]
			switch {
			case err != nil || o.Step.Kind == faultLaunch:
				o.Done <- err
			case at < p.Nodes:
				go awaitNode(child, addrs[at], o.Done)
			default:
				go awaitGateway(child, addrs[at], o.Done)
			}
		default:
			ended[at] = ended[at] || o.Step.Kind == faultKill || o.Step.Kind == faultTerm
			go signalProcess(processes[at], o.Step.Kind, o.Done)
		}
	}
	for _, child := range processes {
		_ = child.cmd.Process.Signal(syscall.SIGCONT) // it may be gone
	}
	for _, l := range lanes {
		setLane(l, wholeLane)
	}
	back <- processes
}

// bringUp starts a process that has ended. One that runs is an error, unless it is only to be revived.
func bringUp(dir string, old process, argv []string, s step) (process, error) {
	select {
	case <-old.gone:
		child, err := launch(dir, old.name, argv)
		if err != nil {
			return old, err
		}
		return child, nil
	default:
	}
	if s.Kind == faultRevive {
		return old, nil
	}
	return old, fmt.Errorf("%w: %s runs already", errFault, s.Node)
}

// strangeEnd tells of a process that has ended although nobody has ended it.
func strangeEnd(processes []process, ended []bool) error {
	for at, p := range processes {
		select {
		case <-p.gone:
			if !ended[at] {
				return fmt.Errorf("%w: died by itself: %s", errProcess, describeEnd(p))
			}
		default:
		}
	}
	return nil
}

// signs are the signals of the kinds of fault. The table never changes.
var signs = map[string]syscall.Signal{faultKill: syscall.SIGKILL, faultTerm: syscall.SIGTERM,
	faultPause: syscall.SIGSTOP, faultResume: syscall.SIGCONT}

// signalProcess sends a process a signal, and waits for its end if that is what it is to bring.
func signalProcess(p process, kind string, done chan<- error) {
	err := p.cmd.Process.Signal(signs[kind])
	if err != nil {
		done <- fmt.Errorf("%w: %s %s: %w", errFault, kind, p.name, err)
		return
	}
	if kind == faultKill || kind == faultTerm {
		select {
		case <-p.gone:
		case <-time.After(stopGrace):
			err = fmt.Errorf("%w: %s does not end within %v after %s", errFault, p.name, stopGrace, kind)
			_ = p.cmd.Process.Kill()
		}
	}
	done <- err
}

// performBy makes steps orders to an operator.
func performBy(orders chan<- order) perform {
	return func(s step) error {
		o := order{s, make(chan error, 1)}
		orders <- o
		return <-o.Done
	}
}

// performWith makes steps commands of the shell: templates are by the step's kind, and {node} in them is the node.
func performWith(templates map[string]string) perform {
	return func(s step) error {
		template := templates[s.Kind]
		if template == "" {
			return fmt.Errorf("%w: %s: no command is known for it (--fault-command %s='…{node}…')", errFault, s.text(), s.Kind)
		}
		out, err := exec.Command("sh", "-c", strings.ReplaceAll(template, "{node}", s.Node)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s: %w: %s", errFault, s.text(), err, out)
		}
		return nil
	}
}

// timeline makes a script of steps at fixed times; one that takes long delays only those of the same node. What fails
// is reported, and fails the run. When the load ends, what would have taken a fault back is done at once.
func timeline(steps []step, do perform) script {
	return func(begin, from time.Time, events chan<- event, quit <-chan struct{}, ended chan<- error) {
		results, busy, over := make(chan event, len(steps)), map[string]bool{}, false
		var failed error
		for len(steps) > 0 || len(busy) > 0 {
			next := slices.IndexFunc(steps, func(s step) bool { return !busy[s.Node] })
			var due <-chan time.Time
			if next >= 0 {
				wait := time.Until(from.Add(steps[next].At))
				if over {
					wait = 0
				}
				due = time.After(wait)
			}
			select {
			case <-due:
				go act(steps[next], do, begin, results)
				busy[steps[next].Node] = true
				steps = slices.Delete(slices.Clone(steps), next, next+1)
			case e := <-results:
				delete(busy, e.Node)
				if events <- e; e.Err != "" && failed == nil {
					failed = fmt.Errorf("%w: %s: %s", errFault, e.Text, e.Err)
				}
			case <-quit:
				steps, quit, over = healing(steps), nil, true
			}
		}
		ended <- failed
	}
}

// healing returns those of the steps that are left which take back what has been done.
func healing(left []step) []step {
	list, undone := []step{}, map[string]bool{} // nodes whose next fault does not come any more
	for _, s := range left {
		if undo[s.Kind] != "" {
			undone[s.Node] = true
		} else if !undone[s.Node] {
			list = append(list, s)
		}
	}
	return list
}

// act does a step and tells of it.
func act(s step, do perform, begin time.Time, results chan<- event) {
	at := time.Now()
	err := do(s)
	e := event{At: at.Sub(begin), Took: time.Since(at), Kind: s.Kind, Text: s.text(), Node: s.Node,
		Heal: undo[s.Kind] == ""}
	if err != nil {
		e.Err = err.Error()
	}
	results <- e
}
