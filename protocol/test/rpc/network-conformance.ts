/** What every `Network` promises, whatever carries it. */
import { describeBodies } from './body-conformance.js'
import { describeCalls } from './call-conformance.js'
import { describeEndings } from './ending-conformance.js'
import { type NetworkWorld, useNetwork } from './network-fixture.js'

export type { NetworkWorld } from './network-fixture.js'

export function describeNetwork(name: string, createWorld: () => NetworkWorld): void {
  describe(`${name} (Network)`, () => {
    const fixture = useNetwork(createWorld)
    describeCalls(fixture)
    describeBodies(fixture)
    describeEndings(fixture)
  })
}
