import { hostname } from 'node:os'
import { expect } from 'chai'
import type { Config } from '../../src/config.js'
import { advertisedAddress } from '../../src/roles/service-address.js'

const addressOf = (settings: Pick<Config, 'host' | 'advertise'>, listening: string): string =>
  advertisedAddress(settings as Config, listening)

describe('the address that others are told', () => {
  it('has the real port, and brackets around IPv6', () => {
    expect(addressOf({ host: '10.0.0.2', advertise: undefined }, '10.0.0.2:4711')).to.equal('10.0.0.2:4711')
    expect(addressOf({ host: '0.0.0.0', advertise: 'chunk-1' }, '0.0.0.0:4711')).to.equal('chunk-1:4711')
    expect(addressOf({ host: '::', advertise: 'fd00::2' }, '[::]:4711')).to.equal('[fd00::2]:4711')
  })

  it('is the name of this host where that listens on every interface and no name is given', () => {
    for (const host of ['0.0.0.0', '::']) {
      expect(addressOf({ host, advertise: undefined }, `${host}:4711`)).to.equal(`${hostname()}:4711`)
    }
  })
})
