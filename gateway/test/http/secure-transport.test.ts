import { expect } from 'chai'
import type { Operation } from '../../src/operations/types.js'
import { RawConnection } from './raw-connection.js'
import { signedHead, startTestGateway } from './test-gateway.js'

describe('secureTransport', () => {
  const seen: boolean[] = []
  const look: Operation = {
    name: 'HeadBucket',
    async handle({ secureTransport }) {
      seen.push(secureTransport)
      return { status: 200 }
    },
  }

  async function askedBy(trustedProxies: readonly string[], scheme: string): Promise<boolean | undefined> {
    const server = await startTestGateway({ operations: [look], config: { trustedProxies } })
    const connection = await RawConnection.open(server.port)
    connection.send(signedHead({ method: 'HEAD', path: '/bucket' }, [`X-Forwarded-Proto: ${scheme}`]))
    expect((await connection.read('HEAD')).status).to.equal(200)
    connection.destroy()
    await server.gateway.close()
    return seen.pop()
  }

  it('is what a trusted proxy says, and nobody else', async () => {
    expect(await askedBy(['127.0.0.1'], 'https')).to.equal(true)
    expect(await askedBy(['127.0.0.1'], 'http')).to.equal(false)
    expect(await askedBy(['127.0.0.1'], 'https, http')).to.equal(false)
    expect(await askedBy([], 'https')).to.equal(false)
  })
})
