import { expect } from 'chai'
import {
  CairnError,
  createNetwork,
  createRouter,
  type Handover,
  type RpcListener,
  type RpcPeer,
  systemClock,
  systemRandom,
  type Unit,
} from '../../src/index.js'
import { type Ask, client, type Say, server, talk, unit } from './network-fixture.js'

const call = { deadlineMs: 10_000 }
const ask = { word: 'hello', data: Buffer.from('abc') }
const body = [unit(10, 7)]

type Settle = (outcome: Say | CairnError) => void

describe('RpcPeer.handOver', () => {
  const network = createNetwork({ clock: systemClock, random: systemRandom })
  let listener: RpcListener
  let peer: RpcPeer
  let taken: { readonly request: Ask; readonly units: readonly Unit[]; readonly settle: Settle }[]
  let outcomes: (Say | CairnError)[]
  let take: (request: Ask, units: readonly Unit[], settle: Settle) => boolean

  async function open(address: string, as = client): Promise<void> {
    const router = createRouter()
    taken = []
    outcomes = []
    take = (request, units, settle) => {
      taken.push({ request, units, settle })
      return true
    }
    router.handle(
      talk,
      async ({ word, data }) => ({ response: { word, count: data.length } }),
      undefined,
      (request, units, settle) => take(request, units, settle),
    )
    listener = await network.listen(address, router, server)
    peer = network.connect(listener.address, as, 'chunk')
    await peer.call(talk, ask, call).catch(() => undefined)
  }

  const handOver = (handover: Partial<Handover<Say>> = {}): boolean | undefined =>
    peer.handOver?.(talk, ask, {
      units: body,
      deadlineMs: 10_000,
      settle: (outcome) => outcomes.push(outcome),
      ...handover,
    })

  const codes = (): unknown[] => outcomes.map((outcome) => outcome instanceof CairnError && outcome.code)

  afterEach(async () => {
    await peer.close()
    await listener.close(0)
  })

  it('gives request and body as they are, and tells the outcome once', async () => {
    await open('local:handover')
    expect(handOver()).to.equal(true)
    expect(taken[0]?.request).to.equal(ask)
    expect(taken[0]?.units).to.equal(body)
    expect(outcomes).to.deep.equal([])
    taken[0]?.settle({ word: 'done', count: 1 })
    taken[0]?.settle({ word: 'again', count: 2 })
    expect(outcomes).to.deep.equal([{ word: 'done', count: 1 }])
  })

  it('tells an outcome that is there at once', async () => {
    await open('local:handover')
    take = (_request, _units, settle) => {
      settle({ word: 'at once', count: 1 })
      return true
    }
    expect(handOver()).to.equal(true)
    expect(outcomes).to.deep.equal([{ word: 'at once', count: 1 }])
  })

  it('tells errors as a wire would: without their cause, and nothing of internal ones', async () => {
    await open('local:handover')
    handOver()
    handOver()
    taken[0]?.settle(
      new CairnError('DriveFull', 'no room', { cause: new Error('secret'), details: { a: 'b' } }),
    )
    taken[1]?.settle(new CairnError('Internal', 'secret'))
    const [full, internal] = outcomes as CairnError[]
    expect(full).to.include({ code: 'DriveFull', message: 'no room' })
    expect(full?.cause).to.equal(undefined)
    expect(full?.details).to.deep.equal({ a: 'b' })
    expect(internal?.message).to.equal('internal error in talk')
  })

  it('begins nothing where the service does not take it, or fails', async () => {
    await open('local:handover')
    take = () => false
    expect(handOver()).to.equal(false)
    take = () => {
      throw new CairnError('DriveFailed', 'as the test wants it')
    }
    expect(handOver()).to.equal(false)
    expect(outcomes).to.deep.equal([])
  })

  it('begins nothing without a connection, while the service shuts down, or over a wire', async () => {
    await open('local:handover')
    const closing = listener.close(1000)
    expect(handOver()).to.equal(false)
    await closing
    await peer.close()
    expect(handOver()).to.equal(false)
    await open('127.0.0.1:0')
    expect(handOver()).to.equal(false)
    expect(taken).to.deep.equal([])
  })

  it('begins nothing for a peer that may not call the method', async () => {
    await open('local:handover', { ...client, role: 'chunk' })
    expect(handOver()).to.equal(false)
    expect(taken).to.deep.equal([])
  })

  it('is lost with its connection, and what comes later is not told', async () => {
    await open('local:handover')
    handOver()
    await listener.close(0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(codes()).to.deep.equal(['ConnectionLost'])
    taken[0]?.settle({ word: 'late', count: 1 })
    expect(outcomes).to.have.length(1)
  })

  it('is waited for by a service that shuts down', async () => {
    await open('local:handover')
    handOver()
    const closing = listener.close(10_000)
    taken[0]?.settle({ word: 'done', count: 1 })
    await closing
    expect(outcomes).to.deep.equal([{ word: 'done', count: 1 }])
  })

  it('is not waited for longer than its deadline', async () => {
    await open('local:handover')
    await new Promise<void>((resolve) => {
      handOver({
        deadlineMs: 1,
        settle: (outcome) => {
          outcomes.push(outcome)
          resolve()
        },
      })
    })
    expect(codes()).to.deep.equal(['DeadlineExceeded'])
  })
})
