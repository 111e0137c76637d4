import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import type { Defragmented } from '../../../src/adapters/etcd/etcd-defragment.js'
import type { EtcdEntryStore } from '../../../src/adapters/etcd/etcd-entry-store.js'
import { bytes, put, range, text } from '../../conformance/subject.js'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'

const QUOTA_BYTES = 16 * 1024 * 1024
const ROWS_MAX = 200
/** Many at once, so that members meet the quota when they apply entries, too. */
const WRITERS = 12

const VALUE = Buffer.alloc(256 * 1024, 1)

/** Puts a row, fenced as a batcher does it; the code of the error. Fails if it was refused and yet stored. */
async function tryPut(store: EtcdEntryStore, writer: number, at: string): Promise<string> {
  const laneKey = `lane/${writer}`
  const [lane] = (await store.read([{ kind: 'get', key: bytes(laneKey) }])).results[0] ?? []
  const commit = { compares: [], puts: [{ key: bytes(`big/${at}`), value: VALUE }] }
  const fence = { key: bytes(laneKey), value: lane?.value }
  try {
    await store.apply({ commits: [commit], always: [put(laneKey, at)], fence })
    return 'none'
  } catch (error) {
    if (!hasCode(error, 'DriveFull', 'OutcomeUnknown')) throw error
    const { results } = await store.read([
      { kind: 'get', key: bytes(`big/${at}`) },
      { kind: 'get', key: bytes(laneKey) },
    ])
    if (error.code === 'DriveFull') expect(results[0]).to.deep.equal([])
    if (error.code === 'OutcomeUnknown') expect(text(results[1]?.[0]?.value)).to.equal(at)
    return error.code
  }
}

describe('an etcd without space', function () {
  this.timeout(60_000)
  const cluster = useEtcd({ flags: [`--quota-backend-bytes=${QUOTA_BYTES}`] })

  it('refuses puts as DriveFull only if they have not happened, and still deletes', async () => {
    const { store } = await openEtcdSubject(cluster())
    const codes: string[] = []
    async function write(writer: number): Promise<void> {
      for (let at = 0; at < ROWS_MAX && !codes.includes('DriveFull'); at++) {
        codes.push(await tryPut(store, writer, `${writer}/${at}`))
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
    expect(codes).to.include('DriveFull')
    console.log(`      ${codes.filter((code) => code === 'OutcomeUnknown').length} refused though stored`)
    expect(codes.filter((code) => code === 'none').length).to.be.greaterThan(20)
    const removal = { compares: [], deleteRanges: [range('big/', 'big0')] }
    const [deleted] = await store.apply({ commits: [removal], always: [] })
    expect(deleted?.committed).to.equal(true)
    expect(store.isShort).to.equal(true)
    const done: Defragmented[] = []
    await store.defragment((member) => done.push(member))
    expect(done[0]?.afterBytes).to.be.lessThan(QUOTA_BYTES / 2)
    await store.apply({ commits: [], always: [put('lane', 'again')] })
    await store.close()
  })
})
