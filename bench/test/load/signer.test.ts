import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import { expect } from 'chai'
import { signedHead } from '../../src/load/signer.js'

/** A hash as the SDK's signer wants it. */
class Sha256 {
  private readonly hash: ReturnType<typeof createHash>

  constructor(secret?: string | Uint8Array) {
    this.hash = secret === undefined ? createHash('sha256') : (createHmac('sha256', secret) as never)
  }
  update(bytes: Uint8Array): void {
    this.hash.update(bytes)
  }
  async digest(): Promise<Uint8Array> {
    return this.hash.digest()
  }
  reset(): void {}
}

describe('signedHead', () => {
  it('signs as the AWS SDK does', async () => {
    const target = {
      name: 't',
      endpoint: 'http://127.0.0.1:9000',
      accessKey: 'AK',
      secretKey: 'secret',
      region: 'eu-west-3',
      pids: [],
      contract: '',
    }
    const headers = { range: 'bytes=1-2', 'x-amz-copy-source': '/b/k' }
    const path = "/bucket/a b/ü!'()*~"
    const head = signedHead(target, { method: 'GET', path, query: 'a=1&b=', headers }).toString('latin1')
    const date = /x-amz-date: (.*)\r/.exec(head)?.[1] ?? ''
    const signer = new SignatureV4({
      service: 's3',
      region: target.region,
      credentials: { accessKeyId: 'AK', secretAccessKey: 'secret' },
      sha256: Sha256 as never,
      uriEscapePath: false,
      applyChecksum: false,
    })
    const signed = await signer.sign(
      {
        method: 'GET',
        protocol: 'http:',
        hostname: '127.0.0.1',
        path: head.split(' ')[1]?.split('?')[0] ?? '',
        query: { a: '1', b: '' },
        headers: {
          ...headers,
          host: '127.0.0.1:9000',
          'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
          'x-amz-date': date,
        },
      },
      { signingDate: new Date(date.replace(/(....)(..)(..T..)(..)(..)Z/, '$1-$2-$3:$4:$5Z')) },
    )
    const found = /authorization: .*Signature=(\w+)/.exec(head)?.[1]
    expect(signed.headers.authorization).to.contain(`Signature=${found}`)
  })
})
