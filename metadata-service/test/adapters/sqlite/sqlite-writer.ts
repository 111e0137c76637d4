/**
 * A process of its own that opens a store and applies entries one after the other:
 * `node sqlite-writer.js PATH COUNT VALUE_BYTES [DURABILITY]`. Prints one line per entry: its number, or the code of
 * its error.
 */
import { writeSync } from 'node:fs'
import { CairnError, systemClock } from '@cairn/protocol'
import { openSqliteEntryStore } from '../../../src/adapters/sqlite/sqlite-entry-store.js'

// Without a handler the signal of a file size limit would end the process; with one, the write fails.
process.on('SIGXFSZ', () => undefined)

const [path = '', count = '0', valueBytes = '0', durability = 'fsync'] = process.argv.slice(2)
const store = openSqliteEntryStore({
  path,
  clock: systemClock,
  durability: durability === 'none' ? 'none' : 'fsync',
})
const value = Buffer.alloc(Number(valueBytes), 'v')
for (let at = 0; at < Number(count); at++) {
  try {
    await store.apply({ commits: [], always: [{ key: Buffer.from(`row/${at}`), value }] })
    writeSync(1, `${at}\n`)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    writeSync(1, `${error.code}\n`)
  }
}
// Neither closed nor checkpointed: what is promised must already be in the files.
process.kill(process.pid, 'SIGKILL')
