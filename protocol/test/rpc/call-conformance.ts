/** Calls, errors and handshakes, as every `Network` promises them. */
import { expect } from 'chai'
import {
  CALLS_PER_CONNECTION_MAX,
  CairnError,
  createRouter,
  ERROR_CODES,
  type ErrorCode,
  type HandshakeIdentity,
  MESSAGE_BYTES_MAX,
} from '../../src/index.js'
import {
  client,
  codeOf,
  collect,
  errorOf,
  gate,
  type NetworkFixture,
  never,
  said,
  server,
  talk,
  unknownMethod,
} from './network-fixture.js'

export function describeCalls(fixture: NetworkFixture): void {
  const { check, call } = fixture

  describe('calls', () => {
    check('answers a call', async () => {
      const request = { word: 'grüße', data: Buffer.alloc(70_000, 1) }
      const { response, body } = await fixture.peer.call(talk, request, { deadlineMs: 10_000 })
      expect(response).to.deep.equal({ word: 'grüße', count: 70_000 })
      expect(await collect(body)).to.deep.equal([])
    })

    check('tells the handler who calls', async () => {
      fixture.handler = async (_request, incoming) => ({ response: { word: incoming.peer.name, count: 0 } })
      expect((await call()).response.word).to.equal('client-1')
    })

    check('keeps many calls apart, answered in any order', async () => {
      const waiting: (() => void)[] = []
      fixture.handler = async (request) => {
        const turn = gate<void>()
        waiting.push(() => turn.open(undefined))
        if (waiting.length === 500) for (const open of waiting.reverse()) open()
        await turn.passed
        return { response: { word: request.word, count: 1 } }
      }
      const words = Array.from({ length: 500 }, (_, index) => `word ${index}`)
      const replies = await Promise.all(words.map((word) => call({}, word)))
      expect(replies.map((reply) => reply.response.word)).to.deep.equal(words)
    })

    check('refuses calls above the limit of one connection as Busy', async () => {
      fixture.handler = () => never
      const codes = Array.from({ length: CALLS_PER_CONNECTION_MAX }, () => codeOf(call()))
      const refused = await errorOf(call())
      expect(refused?.code).to.equal('Busy')
      expect(refused?.details).to.deep.equal({ connected: 'false' })
      await fixture.peer.close()
      expect(new Set(await Promise.all(codes))).to.deep.equal(new Set(['ConnectionLost']))
    })

    check('refuses a message above its limit on either side', async () => {
      const data = Buffer.alloc(MESSAGE_BYTES_MAX)
      expect(await codeOf(fixture.peer.call(talk, { word: '', data }, { deadlineMs: 10_000 }))).to.equal(
        'MessageTooLarge',
      )
      fixture.handler = async () => ({ response: { word: 'x'.repeat(MESSAGE_BYTES_MAX), count: 0 } })
      expect(await codeOf(call())).to.equal('MessageTooLarge')
    })

    check('carries a message close to its limit', async () => {
      const word = 'x'.repeat(MESSAGE_BYTES_MAX - 100)
      expect((await call({}, word)).response.word).to.equal(word)
    })

    check('refuses an unknown method', async () => {
      const asked = fixture.peer.call(
        unknownMethod,
        { word: '', data: Buffer.alloc(0) },
        { deadlineMs: 10_000 },
      )
      expect(await codeOf(asked)).to.equal('NoSuchMethod')
    })
  })

  describe('errors', () => {
    check('carries every error code with its text and details', async () => {
      for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
        if (code === 'Internal') continue
        fixture.handler = async () => {
          throw new CairnError(code, `about ${code}`, { details: { place: 'here' } })
        }
        const error = await errorOf(call())
        expect(error).to.include({ code, message: `about ${code}` })
        expect(error?.details).to.deep.equal({ place: 'here' })
      }
      expect(fixture.world.reported).to.deep.equal([])
    })

    check('keeps the text of an internal error at home', async () => {
      const secret = new TypeError('the password is swordfish')
      fixture.handler = async () => {
        throw secret
      }
      const error = await errorOf(call())
      expect(error?.code).to.equal('Internal')
      expect(error?.message).not.to.include('swordfish')
      expect(fixture.world.reported).to.deep.equal([{ error: secret, where: 'talk' }])
    })

    check('turns a handler that throws at once into an error as well', async () => {
      fixture.handler = () => {
        throw new CairnError('NoSuchKey', 'at once')
      }
      expect(await codeOf(call())).to.equal('NoSuchKey')
    })
  })

  describe('handshake', () => {
    async function rejection(identity: HandshakeIdentity): Promise<CairnError | undefined> {
      const stranger = fixture.world.network.connect(fixture.address, identity, 'chunk')
      const error = await errorOf(
        stranger.call(talk, { word: '', data: Buffer.alloc(0) }, { deadlineMs: 10_000 }),
      )
      await stranger.close()
      return error
    }

    check('rejects a wrong secret, no secret and another cluster', async () => {
      let count = 0
      fixture.handler = async () => {
        count++
        return { response: said }
      }
      for (const wrong of [
        { ...client, clusterSecret: Buffer.alloc(32, 6) },
        { ...client, clusterSecret: Buffer.alloc(0) },
        { ...client, clusterId: 'c2' },
      ]) {
        const error = await rejection(wrong)
        expect(error?.code).to.equal('PeerRejected')
        expect(error?.details).to.deep.equal({ connected: 'false' })
      }
      expect(count).to.equal(0)
    })

    check('takes a peer that does not know its cluster yet', async () => {
      expect(await rejection({ ...client, clusterId: '' })).to.equal(undefined)
    })

    check('refuses to listen without a secret', async () => {
      const nobody = { ...server, clusterSecret: Buffer.alloc(0) }
      expect(
        await codeOf(fixture.world.network.listen(fixture.world.address, createRouter(), nobody)),
      ).to.equal('PeerRejected')
    })
  })
}
