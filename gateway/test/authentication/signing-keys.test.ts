import { createHmac } from 'node:crypto'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { deriveSigningKey, SigningKey, SigningKeys, sign } from '../../src/authentication/signing-keys.js'

describe('signing keys', () => {
  it('sign as HMAC-SHA256 does, whatever the length of key and text', () => {
    const random = createSeededRandom(7)
    for (const keyBytes of [1, 31, 32, 64]) {
      for (const textBytes of [0, 1, 55, 64, 150, 1023, 1024, 1025, 20_000]) {
        const secret = random.bytes(keyBytes)
        const text = Buffer.from(random.bytes(textBytes)).toString('latin1')
        const expected = createHmac('sha256', secret).update(text, 'latin1').digest('hex')
        expect(sign(new SigningKey(secret), text).toString('hex')).to.equal(expected)
      }
    }
  })

  it('do not mix with one another', () => {
    const [one, other] = [new SigningKey(Buffer.alloc(32, 1)), new SigningKey(Buffer.alloc(32, 2))]
    const first = sign(one, 'text')
    expect(sign(other, 'text')).not.to.deep.equal(first)
    expect(sign(one, 'text')).to.deep.equal(first)
  })

  it('are other ones for another access key, secret, day, region or service', () => {
    const keys = new SigningKeys()
    const scope = { day: '20260203', region: 'us-east-1', service: 's3' }
    const asked = [
      ['access', 'secret', scope],
      ['access', 'other', scope],
      ['other', 'other', scope],
      ['access', 'secret', { ...scope, day: '20260204' }],
      ['access', 'secret', { ...scope, region: 'eu-west-1' }],
      ['access', 'secret', { ...scope, service: 'sts' }],
    ] as const
    for (let round = 0; round < 2; round++) {
      for (const [accessKey, secretKey, at] of asked) {
        const derived = sign(deriveSigningKey(secretKey, at), 'text')
        expect(sign(keys.get(accessKey, secretKey, at), 'text')).to.deep.equal(derived)
        expect(sign(keys.get(accessKey, secretKey, at), 'text')).to.deep.equal(derived)
      }
    }
  })
})
