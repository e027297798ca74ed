import { Modal, type ModalProps } from "@mantine/core";

/** A dialog over the page. The library's header would otherwise count as a second banner of the page. */
export function Dialog({ children, ...modal }: ModalProps) {
  return (
    <Modal
      centered
      closeButtonProps={{ "aria-label": "Close" }}
      attributes={{ header: { role: "presentation" } }}
      styles={{ title: { fontSize: "1.125rem", fontWeight: 650 } }}
      {...modal}
    >
      {children}
    </Modal>
  );
}
