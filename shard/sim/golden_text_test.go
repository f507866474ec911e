package sim

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
	"unicode"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// traceWords has the words for each type of kind. They are read from the sources, so that a trace says what the code
// says.
type traceWords map[reflect.Type][]string

func readWords() (traceWords, error) {
	all := traceWords{}
	for _, list := range []struct {
		file string
		kind any
	}{{"../replica/event.go", replica.EventKind(0)}, {"../replica/event.go", replica.EffectKind(0)},
		{"../lease/session.go", lease.EventKind(0)}, {"../lease/session.go", lease.EffectKind(0)},
		{"../views/service.go", views.EventKind(0)}, {"../views/service.go", views.EffectKind(0)},
		{"../notice.go", shard.Notice(0)}, {"../record.go", shard.Refusal(0)}, {"../record.go", traceOp(0)},
		{"../record.go", traceResult(0)}} {
		file, err := parser.ParseFile(token.NewFileSet(), list.file, nil, 0)
		if err != nil {
			return nil, err
		}
		kind := reflect.TypeOf(list.kind)
		all[kind] = constants(file, strings.TrimPrefix(kind.Name(), "trace"))
		if len(all[kind]) < 3 {
			return nil, fmt.Errorf("%s has no constants of type %s", list.file, kind.Name())
		}
	}
	for _, name := range slices.Concat(hiddenFields, timeFields) {
		if !slices.ContainsFunc([]any{replica.Event{}, replica.Effect{}, lease.Event{}, lease.Effect{}, views.Event{},
			views.Effect{}}, func(x any) bool { return reflect.ValueOf(x).FieldByName(name).IsValid() }) {
			return nil, fmt.Errorf("no event and no effect has a field %s", name)
		}
	}
	return all, nil
}

// traceOp and traceResult stand for shard.Op and shard.Result, which are names of the same type.
type (
	traceOp     uint8
	traceResult uint8
)

// constants returns the words of the constants of a type, which count from 1.
func constants(file *ast.File, kind string) []string {
	names := []string{"-"}
	for _, d := range file.Decls {
		list, ok := d.(*ast.GenDecl)
		if !ok || list.Tok != token.CONST {
			continue
		}
		if first, ok := list.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); !ok || first.Name != kind {
			continue
		}
		for _, s := range list.Specs {
			names = append(names, splitWords(s.(*ast.ValueSpec).Names[0].Name))
		}
	}
	return names
}

// splitWords writes a name as words: PeerStored is "peer stored".
func splitWords(name string) string {
	var b strings.Builder
	for i, c := range name {
		if lower := unicode.ToLower(c); i > 0 && lower != c && unicode.IsLower(rune(name[i-1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return strings.ReplaceAll(b.String(), "lsn", "LSN")
}

// Fields that a trace leaves out, as they are the same all the time or say nothing to a reader, and those that are
// times on a node's clock.
var (
	hiddenFields = strings.Fields("Kind Now Shard Caller Stream Store Lease At Wall Began Current Exists Version " +
		"Data To History Records Deadline Text")
	timeFields = strings.Fields("Until FreeFrom")
)

// describe writes an event or an effect: its kind, and the fields that are set. clock turns a time on the
// node's clock into one of the trace.
func (words traceWords) describe(x any, clock func(int64) string) string {
	v := reflect.Indirect(reflect.ValueOf(x))
	kind := words.describeValue(v.FieldByName("Kind"))
	said := []string{}
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case name == "Data" && f.Len() > 0:
			said = append(said, describeMessage(f.Bytes(), v.Type().Name() == "Event"))
		case name == "To" && v.FieldByName("Data").Len() == 0 && strings.HasPrefix(kind, "peer"):
			said = append(said, fmt.Sprint("db-", f.Int()))
		case f.IsZero() || f.Kind() == reflect.Slice && f.Len() == 0 || slices.Contains(hiddenFields, name):
		case slices.Contains(timeFields, name):
			said = append(said, splitWords(name)+" "+clock(f.Int()))
		case f.Kind() == reflect.Struct && name == "Start": // of a greeting
		case f.Kind() == reflect.Bool:
			said = append(said, splitWords(name))
		case f.CanInt(), f.CanUint() && f.Kind() == reflect.Uint64 && name != "Member":
			said = append(said, fmt.Sprint(splitWords(name), " ", f.Interface()))
		default:
			said = append(said, words.describeValue(f))
		}
	}
	said = slices.DeleteFunc(said, func(s string) bool { return s == "" })
	if len(said) == 0 {
		return kind
	}
	return kind + " (" + strings.Join(said, ", ") + ")"
}

// describeValue writes a field that is more than a number.
func (words traceWords) describeValue(v reflect.Value) string {
	said := []string{}
	switch x := v.Interface().(type) {
	case uint64:
		return fmt.Sprint("db-", shard.NodeOf(x))
	case *replica.Event:
		return words.describeValue(reflect.ValueOf(x.Change))
	case shard.Change:
		return strings.TrimPrefix(words[reflect.TypeFor[traceOp]()][x.Op]+" "+x.ID, "- ")
	case shard.Reply:
		if x.Refusal > 0 {
			return words[reflect.TypeOf(x.Refusal)][x.Refusal] + ": " + x.Reason
		}
		return fmt.Sprint(words[reflect.TypeFor[traceResult]()][x.Result], " ", x.Record.ID, ", LSN ", x.Record.LSN)
	case shard.View:
		return describeView(x)
	case views.State:
		return describeView(x.Views[0])
	case []shard.Entry:
		if n := len(x); n > 3 {
			return fmt.Sprintf("LSN %d to %d: %d writes", x[0].LSN, x[n-1].LSN, n)
		}
		for _, n := range x {
			said = append(said, fmt.Sprintf("LSN %d of epoch %d: %s %s", n.LSN, n.Epoch,
				words[reflect.TypeFor[traceResult]()][n.Result], n.ID))
		}
	case []shard.Proposal:
		for _, p := range x {
			said = append(said, fmt.Sprintf("if the epoch is %d then %s", p.Epoch, describeView(p.View)))
		}
	case []lease.Claim:
		for _, c := range x {
			said = append(said, fmt.Sprintf("shard %d in epoch %d", c.Shard, c.Epoch))
		}
	case []lease.LastEntry:
		for _, e := range x {
			said = append(said, fmt.Sprintf("the log ends at LSN %d of epoch %d", e.At.LSN, e.At.Epoch))
		}
	case []shard.View:
		return describeView(x[0])
	case []views.SavedEntry:
		return count(len(x), "record")
	default:
		if names := words[v.Type()]; names != nil {
			return names[v.Uint()]
		}
		return fmt.Sprint(x)
	}
	return strings.Join(said, ", ")
}

func describeView(v shard.View) string {
	if v.InSync {
		return fmt.Sprintf("epoch %d: db-%d leads, db-%d in sync", v.Epoch, v.Leader, v.Backup)
	}
	return fmt.Sprintf("epoch %d: db-%d leads alone", v.Epoch, v.Leader)
}

// describeMessage writes a message of Raft's, by Raft's own name for it.
func describeMessage(data []byte, came bool) string {
	var m raftpb.Message
	if proto.Unmarshal(data, &m) != nil {
		return "unreadable"
	}
	said := []string{fmt.Sprintf("%v to db-%d", m.GetType(), shard.NodeOf(m.GetTo()))}
	if came {
		said[0] = fmt.Sprintf("%v from db-%d", m.GetType(), shard.NodeOf(m.GetFrom()))
	}
	switch n := len(m.GetEntries()); {
	case m.GetReject():
		said = append(said, "refused")
	case m.GetType() == raftpb.MsgAppResp:
		said = append(said, fmt.Sprint("stored up to ", m.GetIndex()))
	case m.GetType() == raftpb.MsgProp:
		said = append(said, count(n, "entry"))
	case m.GetType() == raftpb.MsgApp && n > 0:
		said = append(said, count(n, "entry"), fmt.Sprint("up to ", m.GetEntries()[n-1].GetIndex()))
	case m.GetType() == raftpb.MsgApp:
		said = append(said, fmt.Sprint("committed up to ", m.GetCommit()))
	}
	return strings.Join(said, ", ")
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "y"):
		return fmt.Sprint(n, " ", strings.TrimSuffix(what, "y"), "ies")
	}
	return fmt.Sprint(n, " ", what, "s")
}
