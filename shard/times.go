package shard

// PauseGap is the time in ns between two looks of a loop that mean that this process was paused.
const PauseGap = 50 * 1000 * 1000

// RememberFor is the time in ns for which a request id stays in the window: far longer than any deadline.
const RememberFor = 10 * 1000 * 1000 * 1000

// StuckFor is the time in ns after which a replica that cannot answer says that trying again is of no use.
const StuckFor = 1500 * 1000 * 1000
