import { expect } from 'chai'
import {
  type AnswerAtHand,
  CairnError,
  createNetwork,
  createRouter,
  type RpcListener,
  type RpcPeer,
  systemClock,
  systemRandom,
} from '../../src/index.js'
import { type Ask, client, collect, type Say, server, talk, unit } from './network-fixture.js'

const call = { deadlineMs: 10_000 }
const ask = { word: 'hello', data: Buffer.from('abc') }

describe('RpcPeer.callNow', () => {
  const network = createNetwork({ clock: systemClock, random: systemRandom })
  let listener: RpcListener
  let peer: RpcPeer
  let atHand: ((request: Ask) => AnswerAtHand<Say> | undefined) | undefined

  async function open(address: string): Promise<void> {
    const router = createRouter()
    const answer = ({ word, data }: Ask): AnswerAtHand<Say> => ({
      response: { word, count: data.length },
      units: [unit(10, 7)],
    })
    atHand = answer
    router.handle(
      talk,
      async (request) => {
        const { response, units } = answer(request)
        return { response, body: units }
      },
      (request) => atHand?.(request),
    )
    listener = await network.listen(address, router, server)
    peer = network.connect(listener.address, client, 'chunk')
  }

  const now = (): AnswerAtHand<Say> | undefined => peer.callNow?.(talk, ask)

  afterEach(async () => {
    await peer.close()
    await listener.close(0)
  })

  it('gives in the turn what a call gives later', async () => {
    await open('local:at-hand')
    const { response, body } = await peer.call(talk, ask, call)
    expect(now()).to.deep.equal({ response, units: await collect(body) })
  })

  it('gives nothing before there is a connection, nor after it was closed', async () => {
    await open('local:at-hand')
    expect(now()).to.equal(undefined)
    await peer.call(talk, ask, call)
    expect(now()).to.not.equal(undefined)
    await peer.close()
    expect(now()).to.equal(undefined)
  })

  it('gives nothing where the handler has nothing at hand, or fails', async () => {
    await open('local:at-hand')
    await peer.call(talk, ask, call)
    atHand = undefined
    expect(now()).to.equal(undefined)
    atHand = () => {
      throw new CairnError('DriveFailed', 'as the test wants it')
    }
    expect(now()).to.equal(undefined)
  })

  it('gives nothing while the service shuts down', async () => {
    await open('local:at-hand')
    await peer.call(talk, ask, call)
    const closing = listener.close(1000)
    expect(now()).to.equal(undefined)
    await closing
  })

  it('gives nothing over a wire', async () => {
    await open('127.0.0.1:0')
    await peer.call(talk, ask, call)
    expect(now()).to.equal(undefined)
  })
})
