import { expect } from 'chai'
import type { Commit, CommitResult } from '../../src/ports.js'
import {
  absent,
  atRevision,
  bytes,
  commitAll,
  empty,
  find,
  put,
  range,
  type Subject,
  scan,
  text,
  write,
} from './subject.js'

const committed = (results: readonly CommitResult[]): boolean[] => results.map((result) => result.committed)

/** Adds the races to a suite whose store `current` gives. */
export function describeRaces(current: () => Subject): void {
  describe('races in one window', () => {
    let subject: Subject

    beforeEach(() => {
      subject = current()
    })

    it('never lets a bucket vanish under an object put into it', async () => {
      for (let round = 0; round < 20; round++) {
        const bucket = `b/${round}`
        const revision = await write(subject, put(bucket, 'bucket'))
        const remove: Commit = {
          compares: [atRevision(bucket, revision), empty(`o/${round}/`, `o/${round}0`)],
          puts: [put(`g/${round}`, `removed ${round}`)],
          deletes: [bytes(bucket)],
        }
        const store: Commit = {
          compares: [atRevision(bucket, revision), absent(`o/${round}/key`)],
          puts: [put(`o/${round}/key`, `object ${round}`)],
        }
        const results = await commitAll(subject, ...(round % 2 === 0 ? [remove, store] : [store, remove]))
        expect(committed(results)).to.have.members([true, false])
        const both = [await find(subject, bucket), await find(subject, `o/${round}/key`)]
        expect(both[0] === undefined).to.equal(both[1] === undefined)
      }
    })

    it('never lets an object survive the deletion of its range', async () => {
      const revision = await write(subject, put('b/x', 'bucket'))
      const results = await commitAll(
        subject,
        {
          compares: [atRevision('b/x', revision)],
          puts: [put('g/x', 'gone'), put('b/x', 'next life')],
          deleteRanges: [range('o/x/', 'o/x0')],
        },
        { compares: [atRevision('b/x', revision)], puts: [put('o/x/1', 'object')] },
      )
      // A store that is asked for both at once may also put the object before it deletes the range.
      expect(results[0]?.committed).to.equal(true)
      expect(await find(subject, 'o/x/1')).to.equal(undefined)
    })

    it('lets exactly one of many creations of a key win', async () => {
      const creations = Array.from({ length: 16 }, (_, at) => ({
        compares: [absent('o/1/k')],
        puts: [put('o/1/k', `writer ${at}`)],
      }))
      const results = await commitAll(subject, ...creations)
      expect(results.filter((result) => result.committed)).to.have.length(1)
      const winner = results.findIndex((result) => result.committed)
      expect(text((await find(subject, 'o/1/k'))?.value)).to.equal(`writer ${winner}`)
    })

    it('lets exactly one creation of a key win in a versioned bucket with a delete marker', async () => {
      const marker = await write(subject, put('o/1/k', 'marker'))
      const creations = [1, 2, 3].map((writer) => ({
        compares: [atRevision('o/1/k', marker)],
        puts: [put('o/1/k', `writer ${writer}`), put(`v/1/k/${writer}`, 'marker')],
      }))
      const results = await commitAll(subject, ...creations)
      expect(results.filter((result) => result.committed)).to.have.length(1)
      expect(await scan(subject, ['v/', 'v0'])).to.have.length(1)
    })

    it('lets writers that only share what they compare all succeed', async () => {
      const bucket = await write(subject, put('b/1', 'bucket'))
      const results = await commitAll(
        subject,
        ...Array.from({ length: 300 }, (_, at) => ({
          compares: [atRevision('b/1', bucket), absent(`o/1/${at}`)],
          puts: [put(`o/1/${at}`, `object ${at}`)],
        })),
      )
      expect(results.every((result) => result.committed)).to.equal(true)
      expect(await scan(subject, ['o/1/', 'o/10'])).to.have.length(300)
    })
  })
}
