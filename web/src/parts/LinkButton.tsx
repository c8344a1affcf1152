/** A button that goes somewhere: one link, not a button inside of one. */

import { createLink, type LinkComponent } from "@tanstack/react-router";
import { Button, type ButtonProps } from "antd";
import { forwardRef } from "react";

const Anchor = forwardRef<HTMLAnchorElement, Omit<ButtonProps, "ref"> & { href?: string }>((props, ref) => (
  <Button {...props} ref={ref} />
));
Anchor.displayName = "Anchor";

const Created = createLink(Anchor);

export const LinkButton: LinkComponent<typeof Anchor> = (props) => <Created {...props} />;
