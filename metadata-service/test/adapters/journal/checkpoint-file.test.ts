import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { CheckpointEncoder, readCheckpoint } from '../../../src/adapters/journal/checkpoint-file.js'
import { FRAME_BYTES_MAX, PAGE_ROWS_MAX } from '../../../src/adapters/journal/journal-limits.js'

const HEAD = { lineage: 'l', clusterId: 'c', after: 0, wallMicros: 1 }

describe('a checkpoint', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-checkpoint-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  for (const [rows, what] of [
    [0, 'no row'],
    [1, 'one row'],
    [PAGE_ROWS_MAX, 'more than a reader believes to be one section'],
  ] as const) {
    it(`is read back whole with pages of ${what}`, async () => {
      const random = createSeededRandom(3)
      const value = random.bytes(Math.ceil(FRAME_BYTES_MAX / PAGE_ROWS_MAX) + 1000)
      const page = Array.from({ length: rows }, (_, at) => ({ key: Buffer.from(`row/${at}`), value }))
      const encoder = new CheckpointEncoder()
      const small = [{ key: Buffer.from('s'), value: Buffer.from('small') }]
      const sections = [encoder.start(HEAD), encoder.page(page), encoder.page(small), encoder.end(9, 2)]
      const path = join(folder, `${rows}-rows`)
      writeFileSync(path, Buffer.concat(sections))
      const keys: string[] = []
      const facts = await readCheckpoint(path, {
        row: (key, found) => {
          if (keys.length < rows) expect(Buffer.compare(found, value)).to.equal(0)
          keys.push(key.toString())
        },
      })
      expect(facts?.rows).to.equal(rows + 1)
      expect(keys).to.deep.equal([...page.map(({ key }) => key.toString()), 's'])
    })
  }

  it('is read with sections larger than a frame of the journal may be, as earlier versions wrote them', async () => {
    const path = join(folder, 'large-section')
    const large = Buffer.alloc(FRAME_BYTES_MAX + 1000, 7)
    const encoder = new CheckpointEncoder()
    writeFileSync(path, Buffer.concat([encoder.start(HEAD), encoder.frame(large), encoder.end(9, 2)]))
    const sizes: number[] = []
    const facts = await readCheckpoint(path, { frame: (found) => void sizes.push(found.length) })
    expect([facts?.frames, sizes]).to.deep.equal([1, [large.length]])
  })
})
