/** Limits of the journal and its checkpoints, with unit and reason. */

/** Longest time from an entry to its sync on every drive in mode `async`: half of the promised second. */
export const FLUSH_MS: number = 400

/** Frames a drive may be behind, in bytes; beyond it its journal is given up and built anew by a checkpoint. */
export const BEHIND_BYTES_MAX: number = 64 * 1024 * 1024

/** Frames of one write: enough for one sync to be cheap, little enough for the pool's thread not to be held. */
export const WRITE_BYTES_MAX: number = 8 * 1024 * 1024

/** Frames of one write: below IOV_MAX (1,024 on Linux). */
export const WRITE_FRAMES_MAX: number = 1000

/** Buffers that frames are encoded into, in bytes: some hundred entries each. */
export const FRAME_BUFFER_BYTES: number = 256 * 1024

/** A checkpoint is due when the journal since the last one has this many bytes, or half of the checkpoint's. */
export const CHECKPOINT_JOURNAL_BYTES: number = 64 * 1024 * 1024

/** Rows of one page of a checkpoint: about a millisecond of the event loop. */
export const PAGE_ROWS_MAX: number = 200

/** Bytes of rows in one section of a checkpoint, unless one row alone is larger: far below what a reader believes in. */
export const ROWS_BYTES_MAX: number = 4 * 1024 * 1024

/** Bytes of rows that a page aims at: few rows are read at once where rows are large. */
export const PAGE_BYTES: number = 256 * 1024

/** Pause after each page in times of what the page took: a checkpoint takes at most a quarter of the loop. */
export const PAGE_PAUSE_FACTOR = 3

/** How often each drive is looked at: is it there, is it the same, does it still hold our file? */
export const LOOK_MS: number = 1_000

/** A drive with less free space takes no copies, in bytes: what is left is for tombstones. */
export const ROOM_BYTES_MIN: number = 4 * 1024 * 1024

/** At the start drives come one after the other: so often, so many times, until all are there. */
export const LOOK_AT_START_MS: number = 50
export const LOOKS_AT_START = 200

/** After an error that may pass (a full disk), a drive is left alone for so long. */
export const RETRY_MS: number = 30_000

/** Largest frame that a reader believes in: an entry is at most 1.5 MiB in etcd, larger in SQLite. */
export const FRAME_BYTES_MAX: number = 64 * 1024 * 1024

/** Largest section of a checkpoint that a reader believes in: earlier versions wrote 200 rows into one, however large. */
export const SECTION_BYTES_MAX: number = 512 * 1024 * 1024

/** Bytes read at once when a journal is searched. */
export const READ_BYTES: number = 4 * 1024 * 1024

/** Checkpoints kept on a drive: the newest, and the one before. */
export const CHECKPOINTS_KEPT = 2

/**
 * Added to the last known revision when a store is made from copies: whatever was written after the last frame that
 * was found, or on a drive that was not there, lies below it, and so can never be mistaken for what comes later. More
 * than a store writes in its life; a number in a file's name and in a double has room for thousands of such jumps.
 */
export const REVISION_JUMP: number = 1_000_000_000_000
