import type { DeleteOutcome } from '@cairn/protocol'
import { expect } from 'chai'
import { BUSY_ATTEMPTS_MAX } from '../../src/limits.js'
import { codeOf, createWorld, type World } from '../world/world.js'

type Refusal = Omit<DeleteOutcome, 'deleteMarker'>

describe('deletes', () => {
  let world: World

  beforeEach(async () => {
    world = await createWorld()
  })

  const refuse = (key: string, ...refusals: readonly (string | Refusal)[]): void => {
    const outcomes = refusals.map((each) => (typeof each === 'string' ? { errorCode: each } : each))
    world.metadata.deleteRefusals.set(key, outcomes)
  }

  const deleteKeys = async (...keys: readonly string[]): Promise<(string | undefined)[]> => {
    const targets = keys.map((key) => ({ key }))
    const outcomes = await world.run(world.client.deleteObjects('b', targets))
    return outcomes.map(({ errorCode }) => errorCode)
  }

  /** The keys of each request, behind `unsure` where it says that an earlier one may have happened. */
  const sent = (): string[] =>
    world.metadata.deleteRequests.map(({ items, attempt }) => {
      const keys = items.map(({ key }) => key).join(' ')
      return attempt?.firstRoute === undefined ? keys : `unsure: ${keys}`
    })

  it('turn the outcome of one into an error, and give many outcomes in order', async () => {
    const keys = Array.from({ length: 1001 }, (_, index) => `k${index}`)
    refuse('forbidden', 'ConditionalConflict')
    const outcomes = await deleteKeys(...keys, 'forbidden')
    expect(outcomes).to.have.length(1002)
    expect(outcomes[1001]).to.equal('ConditionalConflict')
    refuse('forbidden', 'ConditionalConflict')
    expect(await codeOf(world.run(world.client.deleteObject('b', { key: 'forbidden' })))).to.equal(
      'ConditionalConflict',
    )
  })

  it('repeat what has surely not happened, and nothing else, as the same operations', async () => {
    refuse('b', 'SessionMoved', 'Busy')
    refuse('d', 'ShuttingDown')
    refuse('e', 'PreconditionFailed')
    expect(await deleteKeys('a', 'b', 'c', 'd', 'e')).to.deep.equal([
      ...[undefined, undefined, undefined, undefined],
      'PreconditionFailed',
    ])
    expect(sent()).to.deep.equal(['a b c d e', 'b d', 'b'])
    const ops = world.metadata.deleteRequests.flatMap(({ items }) =>
      items.map(({ key, op }) => `${key} ${op}`),
    )
    expect(new Set(ops).size).to.equal(5)
  })

  it('say so when they repeat what may have happened', async () => {
    refuse('b', 'OutcomeUnknown', 'SessionMoved')
    refuse('c', 'SessionMoved')
    expect(await deleteKeys('a', 'b', 'c')).to.deep.equal([undefined, undefined, undefined])
    expect(sent()).to.deep.equal(['a b c', 'unsure: b c', 'unsure: b'])
  })

  it('move their session to the next route before they repeat what was refused on another', async () => {
    refuse('a', 'SessionMoved', 'SessionMoved')
    expect(await deleteKeys('a')).to.deep.equal([undefined])
    const routes = world.metadata.deleteRequests.map(({ attempt }) => attempt?.route)
    expect(routes).to.deep.equal([1, 2, 3])
  })

  it('give up where a service stays busy, and keep what the others came to', async () => {
    refuse('b', ...Array<string>(9).fill('Busy'))
    expect(await deleteKeys('a', 'b')).to.deep.equal([undefined, 'Busy'])
    expect(sent()).to.deep.equal(['a b', 'b', 'b'])
    expect(BUSY_ATTEMPTS_MAX).to.equal(3)
    expect(await codeOf(world.run(world.client.deleteObjects('b', [{ key: 'b' }])))).to.equal('Busy')
  })

  it('ask each service once about what none can tell', async () => {
    const never = { errorCode: 'OutcomeUnknown', neverSettled: true }
    refuse('b', 'OutcomeUnknown', ...Array<Refusal>(9).fill(never))
    expect(await deleteKeys('a', 'b')).to.deep.equal([undefined, 'OutcomeUnknown'])
    expect(sent()).to.deep.equal(['a b', 'unsure: b'])
  })

  it('keep the outcomes of some when the bucket is gone at the repeat of others', async () => {
    refuse('b', 'SessionMoved')
    world.metadata.beforeDeletes = () => {
      if (world.metadata.deleteRequests.length > 0) world.metadata.buckets.delete('b')
    }
    expect(await deleteKeys('a', 'b')).to.deep.equal([undefined, 'NoSuchBucket'])
    expect(await codeOf(deleteKeys('a', 'b'))).to.equal('NoSuchBucket')
  })
})
