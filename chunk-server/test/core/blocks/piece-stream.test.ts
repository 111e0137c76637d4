import type { Unit } from '@cairn/protocol'
import { expect } from 'chai'
import { PieceStream, type UnitRange } from '../../../src/core/blocks/piece-stream.js'
import { codeOf } from '../../conformance/blocks.js'

function unitsIn({ first, last }: UnitRange): Unit[] {
  return Array.from({ length: last - first }, (_, at) => ({ bytes: Buffer.alloc(1), check: first + at }))
}

function open(
  range: UnitRange,
  read: (piece: UnitRange) => Promise<Unit[]>,
  signal?: AbortSignal,
): PieceStream {
  return new PieceStream(read, range, { pieceUnits: 3, signal })
}

describe('PieceStream', () => {
  it('gives all units of its range in order, one piece ahead', async () => {
    const reads: UnitRange[] = []
    const stream = open({ first: 2, last: 10 }, async (piece) => {
      reads.push(piece)
      return unitsIn(piece)
    })
    expect(reads).to.deep.equal([{ first: 2, last: 5 }])
    expect((await stream.next()).value?.check).to.equal(2)
    expect(reads).to.have.length(2)
    const rest: number[] = []
    for await (const unit of stream) rest.push(unit.check)
    expect(rest).to.deep.equal([3, 4, 5, 6, 7, 8, 9])
    expect(reads).to.deep.equal([2, 5, 8].map((first) => ({ first, last: Math.min(first + 3, 10) })))
  })

  it('has the rest of a piece at hand, and cannot tell before the next one is read', async () => {
    const stream = open({ first: 0, last: 4 }, async (piece) => unitsIn(piece))
    expect(stream.poll()).to.equal(undefined)
    await stream.next()
    expect([stream.poll()?.value?.check, stream.poll()?.value?.check]).to.deep.equal([1, 2])
    expect(stream.poll()).to.equal(undefined)
    expect((await stream.next()).value?.check).to.equal(3)
    expect(stream.poll()).to.deep.equal({ value: undefined, done: true })
  })

  it('fails where a piece cannot be read, and never ends cleanly there', async () => {
    const stream = open({ first: 0, last: 6 }, async (piece) => {
      if (piece.first > 0) throw new Error('unreadable')
      return unitsIn(piece)
    })
    for (let at = 0; at < 3; at++) await stream.next()
    expect(await codeOf(stream.next())).to.equal('Error: unreadable')
    expect(await codeOf(stream.next())).to.equal('Error: unreadable')
  })

  it('stops with Cancelled after an abort, and cleanly once it was left', async () => {
    const controller = new AbortController()
    const stream = open({ first: 0, last: 6 }, async (piece) => unitsIn(piece), controller.signal)
    await stream.next()
    controller.abort()
    expect(await codeOf(stream.next())).to.equal('Cancelled')
    const left = open({ first: 0, last: 6 }, async (piece) => unitsIn(piece))
    await left.next()
    await left.return()
    expect((await left.next()).done).to.equal(true)
  })
})
