/** A process of its own that backs a store up: `node backup-process.js ENDPOINT PREFIX FILE`. Prints rows read so far. */
import { writeSync } from 'node:fs'
import { systemClock, systemRandom } from '@cairn/protocol'
import { openEtcdEntryStore } from '../../../src/adapters/etcd/etcd-entry-store.js'
import { backupCluster } from '../../../src/adapters/transfer/cluster-backup.js'

const [endpoint = '', prefix = '', file = ''] = process.argv.slice(2)
const alive = setInterval(() => undefined, 1_000)
const options = { endpoints: [endpoint], prefix, clock: systemClock, random: systemRandom }
const store = await openEtcdEntryStore(options)
await backupCluster({ store, file, clock: systemClock, onProgress: (rows) => writeSync(1, `${rows}\n`) })
await store.close()
clearInterval(alive)
